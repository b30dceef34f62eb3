package config

import (
	"maps"
	"slices"

	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/directions"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/prompt"
)

// registries hold the values of some keys, asked whenever they are needed, so
// that a new allocator, estimator, metric, objective, optimizer or mapping needs its
// registration alone.
var registries = map[string]func() []string{
	"allocator.name":      allocator.Names,
	"estimator.name":      lr.Names,
	"estimator.noise":     directions.Laws,
	"estimator.qmc":       directions.Sequences,
	"estimator.schedule":  lr.AllSchedules,
	"objective.kind":      objective.Names,
	"optimizer.name":      optim.Names,
	"optimizer.schedule":  optim.Schedules,
	"sites.train":         parts.Names,
	"prompt.mapping.kind": func() []string { return slices.Sorted(maps.Keys(prompt.Learners)) },
	"train.metrics":       metric.Names,

	"checkpoint.best_metric": metric.Names,
}

// implemented are the keys whose values are implementations, each there only where
// it is registered.
var implemented = []string{"allocator.name", "estimator.name", "objective.kind", "optimizer.name", "sites.train"}

// Offer adds to the values of a key what a registry holds that stands above this
// package, such as that of the datasets. Call it from init.
func Offer(key string, names ...string) {
	for _, n := range names {
		if !slices.Contains(ordered[key], n) {
			ordered[key] = append(ordered[key], n)
		}
	}
}

// Choices lists the values that a key may have, for validation, the schema and
// shell completion; none where it is free.
func Choices(key string) []string {
	f, _ := find(key)
	return f.choices()
}

func (f field) choices() []string {
	if f.own != nil {
		return slices.Clone(f.own.Choices)
	}
	out := slices.Clone(ordered[f.key])
	if registered, ok := registries[f.key]; ok {
		if slices.Contains(implemented, f.key) {
			out = slices.DeleteFunc(out, func(n string) bool { return !slices.Contains(registered(), n) })
		}
		for _, n := range registered() {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// ordered are the values of the keys that have a choice, in the order that a
// reader wants; what else a registry holds comes after them.
var ordered = map[string][]string{
	"model.kind":          {"local", "remote", "command"},
	"model.head":          {"auto", "new", "zero-shot"},
	"model.binary":        {"auto", "always", "never"},
	"data.kind":           {"folder", "shapes", "scenes", "cifar10", "cifar100", "idx", "parquet", "tar"},
	"data.on_bad":         {"refuse", "skip"},
	"data.exif":           {"turn", "ignore"},
	"data.augment":        {"flip", "crop", "crop_reflect"},
	"sites.kinds":         {"query", "key", "value", "attn_out", "mlp_in", "mlp_out", "residual", "pool", "projection"},
	"sites.train":         {"all", "bias", "norm", "lora", "core", "prompt"},
	"sites.params":        {"norm", "cls_token", "position", "layer_scale"},
	"estimator.name":      {"activation", "weight", "bp"},
	"estimator.schedule":  {"", "per_site", "joint", "random_site", "all", "tensor"},
	"estimator.noise":     {"gaussian", "rademacher"},
	"estimator.qmc":       {"none", "sobol", "halton"},
	"allocator.name":      {"uniform", "gaussian", "gaussian_released", "bernoulli", "neyman"},
	"allocator.scope":     {"image", "site", "both"},
	"budget.unit":         {"queries", "operations"},
	"optimizer.name":      {"sgd", "adamw"},
	"optimizer.schedule":  {"constant", "cosine", "step"},
	"objective.kind":      {"cross_entropy", "accuracy", "contrastive"},
	"prompt.kind":         {"none", "frame", "tokens", "context", "text-subspace"},
	"prompt.mode":         {"over", "around", "coordinator"},
	"prompt.mapping.kind": {"identity", "given", "learned", "linear"},
	"checkpoint.best":     {"auto", "validation", "test", "none"},

	"cluster.numerics":       {"strict", "journal"},
	"checkpoint.best_metric": {""},
	"train.precision":        {"fp32", "tf32", "bf16"},
	"train.cache":            {"auto", "off", "memory", "disk"},
	"train.on_divergence":    {"stop", "rollback"},
}
