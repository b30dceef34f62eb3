package config

import (
	"slices"

	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/optim"
)

func init() {
	Offer("allocator.name", allocator.Names()...)
	Offer("estimator.name", lr.Names()...)
	Offer("objective.kind", objective.Names()...)
	Offer("optimizer.name", optim.Names()...)
}

// Offer adds what a registry holds to the values of a key, so that a new
// allocator, estimator, objective, dataset or optimizer needs its registration
// alone. Values that are there already keep their place. Call it from init.
func Offer(key string, names ...string) {
	for _, n := range names {
		if !slices.Contains(Enums[key], n) {
			Enums[key] = append(Enums[key], n)
		}
	}
}

// Enums are the values that a key may have, for validation, the schema and
// shell completion, in the order that a reader wants; what else a registry
// holds comes after them (Offer).
var Enums = map[string][]string{
	"model.kind":          {"local", "remote", "command"},
	"model.binary":        {"auto", "always", "never"},
	"data.kind":           {"folder", "shapes", "cifar10", "cifar100", "idx", "parquet", "tar"},
	"data.on_bad":         {"refuse", "skip"},
	"data.exif":           {"turn", "ignore"},
	"data.augment":        {"flip", "crop", "crop_reflect"},
	"sites.kinds":         {"query", "key", "value", "attn_out", "mlp_in", "mlp_out"},
	"sites.params":        {"norm", "cls_token", "position"},
	"estimator.name":      {"activation", "weight", "bp"},
	"estimator.schedule":  {"", "per_site", "joint", "random_site", "all", "tensor"},
	"estimator.noise":     {"gaussian", "rademacher"},
	"estimator.qmc":       {"none", "sobol", "halton"},
	"allocator.name":      {"uniform", "gaussian", "gaussian_released", "bernoulli", "neyman"},
	"allocator.features":  {"loss", "cls"},
	"allocator.freeze":    {"w0", "w1", "w2", "w3"},
	"optimizer.name":      {"sgd", "adamw"},
	"optimizer.schedule":  {"constant", "cosine", "step"},
	"objective.kind":      {"cross_entropy", "accuracy", "contrastive"},
	"objective.pairing":   {"class", "image"},
	"prompt.kind":         {"none", "frame", "tokens"},
	"prompt.mode":         {"over", "around"},
	"prompt.mapping.kind": {"identity", "given", "learned", "linear"},
	"checkpoint.best":     {"auto", "validation", "test", "none"},
	"train.precision":     {"fp32", "tf32", "bf16"},
	"train.on_divergence": {"stop", "rollback"},
}
