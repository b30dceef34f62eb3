package config

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/flops-vit/flops/internal/uierr"
)

// bound is the smallest and largest value of a number, or of each in a list.
type bound struct {
	lo, hi         float64
	loOpen, hiOpen bool // lo, hi itself is out
}

func from(lo, hi float64) bound  { return bound{lo: lo, hi: hi} }
func above(lo, hi float64) bound { return bound{lo: lo, hi: hi, loOpen: true} }

func (b bound) holds(x float64) bool {
	return x >= b.lo && x <= b.hi && !(b.loOpen && x == b.lo) && !(b.hiOpen && x == b.hi)
}

func (b bound) String() string {
	word, end := "from", ""
	if b.loOpen {
		word = "above"
	}
	if b.hiOpen {
		end = ", not included"
	}
	return fmt.Sprintf("%s %v to %v%s", word, b.lo, b.hi, end)
}

// bounds of the keys that hold numbers; those of a seed are those of its type.
var bounds = map[string]bound{
	"model.in_flight":     from(1, 1024),
	"model.max_batch":     from(1, 1<<20),
	"model.retries":       from(0, 1000),
	"model.shape":         from(1, 8192),
	"model.arch.image":    from(1, 8192),
	"model.arch.patch":    from(1, 8192),
	"model.arch.channels": from(1, 3),
	"model.arch.hidden":   from(1, 1<<20),
	"model.arch.layers":   from(1, 500),
	"model.arch.heads":    from(1, 1<<20),
	"model.arch.mlp":      from(1, 1<<20),
	"model.arch.classes":  from(0, 1<<20),

	"data.few_shot":   from(0, 1e9),
	"data.validation": from(0, 0.95),
	"data.count":      from(1, 1e8),
	"data.test_count": from(1, 1e8),
	"data.size":       from(8, 1024),
	"data.workers":    from(0, 1024),
	"data.mean":       from(-1e6, 1e6),
	"data.std":        above(0, 1e6),

	"estimator.sigma":    above(0, 1e3),
	"estimator.sigma_lr": from(0, 10),

	"allocator.min_queries": from(1, 1<<20),
	"allocator.lr":          from(0, 10),
	"allocator.decay":       from(0, 0.9999),
	"allocator.window":      from(1, 1e6),
	"allocator.w":           from(-1e9, 1e9),

	"budget.queries_per_image": from(1, 1<<20),
	"budget.max_queries":       from(0, 1e18),

	"optimizer.lr":           above(0, 1e3),
	"optimizer.momentum":     from(0, 0.99999),
	"optimizer.eps":          above(0, 1),
	"optimizer.weight_decay": from(0, 10),
	"optimizer.warmup":       from(0, 1e9),
	"optimizer.step_size":    from(1, 1e9),
	"optimizer.gamma":        above(0, 10),
	"optimizer.min_lr":       from(0, 1e3),
	"optimizer.clip":         from(0, 1e9),
	"optimizer.betas":        {lo: 0, hi: 1, hiOpen: true},

	"objective.temperature": from(0.01, 100),

	"prompt.width":          from(1, 512),
	"prompt.count":          from(1, 1024),
	"prompt.mapping.images": from(1, 1e6),
	"prompt.mapping.given":  from(0, 1<<20),

	"train.steps":           from(0, 1e9),
	"train.batch_size":      from(1, 1<<20),
	"train.eval_every":      from(0, 1e9),
	"train.eval_images":     from(0, 1e9),
	"train.log_every":       from(1, 1e9),
	"train.threads":         from(0, 4096),
	"train.rollback_factor": above(0, 1),
	"train.max_rollbacks":   from(0, 1000),

	"checkpoint.every":     from(0, 1e9),
	"checkpoint.keep_last": from(0, 1e6),
}

// length is what a list must have.
type length struct {
	of   []int
	why  string
	hint string
}

var lengths = map[string]length{
	"optimizer.betas": {[]int{2}, "are not two decays",
		"give two numbers from 0 up to, not including, 1, such as [0.9, 0.999]"},
	"allocator.w": {[]int{0, 4}, "are not the four parameters w0 to w3",
		"give four numbers, or leave it out for the defaults"},
	"model.shape": {[]int{0, 3}, "is no shape of an image", "give channels, height and width, as in [3, 224, 224]"},
	"data.mean": {[]int{0, 1, 3}, "is not one number per channel",
		"give one number for all channels or three, or leave it out"},
	"data.std": {[]int{0, 1, 3}, "is not one number per channel",
		"give one number for all channels or three, or leave it out"},
}

// ranges checks the length of every list and the size of every number.
func ranges(c *Config) error {
	for _, f := range fields {
		v := f.of(c)
		if l, ok := lengths[f.key]; ok && !slices.Contains(l.of, v.Len()) {
			return bad(f.key, v.Interface(), l.why, l.hint)
		}
		b, ok := bounds[f.key]
		if !ok {
			continue
		}
		for _, x := range numbers(v) {
			if !b.holds(x) {
				return bad(f.key, v.Interface(), "is out of range", "give a number "+b.String())
			}
		}
	}
	if a := c.Model.Arch; c.Model.Kind == "local" && c.Model.Path == "" {
		switch {
		case a.Image%a.Patch != 0:
			return bad("model.arch.patch", a.Patch, "does not divide the image",
				fmt.Sprintf("give a divisor of model.arch.image: %d", a.Image))
		case a.Hidden%a.Heads != 0:
			return bad("model.arch.heads", a.Heads, "does not divide the width",
				fmt.Sprintf("give a divisor of model.arch.hidden: %d", a.Hidden))
		}
	}
	return nil
}

// numbers are the numbers of a value, one or a list.
func numbers(v reflect.Value) []float64 {
	switch {
	case v.Kind() == reflect.Slice:
		var out []float64
		for i := range v.Len() {
			out = append(out, numbers(v.Index(i))...)
		}
		return out
	case v.CanInt():
		return []float64{float64(v.Int())}
	}
	return []float64{v.Float()}
}

// bad is the error for a value that breaks a rule.
func bad(key string, value any, why, hint string) error {
	return uierr.New(fmt.Sprintf("%s: %v %s", key, value, why), hint)
}
