package config

import (
	"fmt"
	"slices"

	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

func from(lo, hi float64) settings.Bound  { return settings.Bound{Lo: lo, Hi: hi} }
func above(lo, hi float64) settings.Bound { return settings.Bound{Lo: lo, Hi: hi, LoOpen: true} }

// bounds of the keys that hold numbers; those of a seed are those of its type.
var bounds = map[string]settings.Bound{
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
	"data.shots":      from(0, 1e9),
	"data.variants":   from(0, 1<<20),
	"data.validation": from(0, 0.95),
	"data.count":      from(1, 1e8),
	"data.test_count": from(1, 1e8),
	"data.size":       from(8, 1024),
	"data.workers":    from(0, 1024),
	"data.mean":       from(-1e6, 1e6),
	"data.std":        above(0, 1e6),

	"estimator.sigma": above(0, 1e3),

	"allocator.min_queries": from(1, 1<<20),
	"allocator.window":      from(1, 1e6),

	"allocator.least_chance":   from(0, 1),
	"budget.queries_per_image": above(0, 1<<20),
	"budget.max_queries":       from(0, 1e18),
	"budget.early":             from(0, 1),

	"optimizer.lr":           above(0, 1e3),
	"optimizer.weight_decay": from(0, 10),
	"optimizer.warmup":       from(0, 1e9),
	"optimizer.step_size":    from(1, 1e9),
	"optimizer.gamma":        above(0, 10),
	"optimizer.min_lr":       from(0, 1e3),
	"optimizer.clip":         from(0, 1e9),
	"optimizer.ema":          {Lo: 0, Hi: 1, HiOpen: true},

	"prompt.width":          from(1, 512),
	"prompt.count":          from(1, 1024),
	"prompt.rank":           from(1, 1024),
	"prompt.dim":            from(1, 1<<20),
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
	"cluster.speculate":    from(0, 100),
	"cluster.verify":       from(0, 1),
	"checkpoint.keep_last": from(0, 1e6),
}

// lengths of the keys that hold lists of a fixed one.
var lengths = map[string]settings.Length{
	"model.shape": {Of: []int{0, 3}, Why: "is no shape of an image",
		Hint: "give channels, height and width, as in [3, 224, 224]"},
	"data.mean": {Of: []int{0, 1, 3}, Why: "is not one number per channel",
		Hint: "give one number for all channels or three, or leave it out"},
	"data.std": {Of: []int{0, 1, 3}, Why: "is not one number per channel",
		Hint: "give one number for all channels or three, or leave it out"},
}

// bound is what the key's numbers are within, nil where they are any.
func (f field) bound() *settings.Bound {
	if f.own != nil {
		return f.own.Bound
	}
	if b, ok := bounds[f.key]; ok {
		return &b
	}
	return nil
}

// length is what the key's list must have, nil where that is any.
func (f field) length() *settings.Length {
	if f.own != nil {
		return f.own.Lengths
	}
	if l, ok := lengths[f.key]; ok {
		return &l
	}
	return nil
}

// ranges checks the length of every list and the size of every number.
func ranges(c *Config) error {
	for _, f := range fields() {
		v := f.of(c)
		if f.own != nil {
			if err := f.own.Check(f.key, v.Interface()); err != nil {
				return err
			}
			continue
		}
		if l := f.length(); l != nil && !slices.Contains(l.Of, v.Len()) {
			return bad(f.key, v.Interface(), l.Why, l.Hint)
		}
		b := f.bound()
		if b == nil {
			continue
		}
		for _, x := range settings.Numbers(v) {
			if !b.Holds(x) {
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

// bad is the error for a value that breaks a rule.
func bad(key string, value any, why, hint string) error {
	return uierr.New(fmt.Sprintf("%s: %v %s", key, value, why), hint)
}
