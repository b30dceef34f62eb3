package config

// Enums are the values that a key may have, for validation, the schema and
// shell completion.
var Enums = map[string][]string{
	"model.kind":          {"local", "remote", "command"},
	"model.binary":        {"auto", "always", "never"},
	"data.kind":           {"folder", "shapes", "cifar10", "cifar100", "idx", "parquet", "tar"},
	"data.on_bad":         {"refuse", "skip"},
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
	"prompt.mapping.kind": {"identity", "given", "learned"},
	"train.precision":     {"fp32", "tf32", "bf16"},
	"train.on_divergence": {"stop", "rollback"},
}
