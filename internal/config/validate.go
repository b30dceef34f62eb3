package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/uierr"
)

// Validate checks every rule that needs neither data nor model; the first
// broken one is the error, with its key and what to do.
func Validate(c *Config) error {
	for _, check := range []func(*Config) error{names, enums, ranges, splits, models, methods, budgets, schedules, prompts} {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

func bad(key string, value any, why, hint string) error {
	return uierr.New(fmt.Sprintf("%s: %v %s", key, value, why), hint)
}

// enums checks every value that has a list of choices.
func enums(c *Config) error {
	for _, f := range fields {
		known, ok := Enums[f.key]
		if !ok {
			continue
		}
		v := reflect.ValueOf(c).Elem().FieldByIndex(f.path)
		var given []string
		if v.Kind() == reflect.Slice {
			given = v.Interface().([]string)
		} else {
			given = []string{v.String()}
		}
		for _, g := range given {
			if slices.Contains(known, g) {
				continue
			}
			choices := strings.Join(slices.DeleteFunc(slices.Clone(known), func(s string) bool { return s == "" }), ", ")
			hint := "choose one of " + choices
			if n := nearest(g, known); n != "" {
				hint = fmt.Sprintf("did you mean %s? known: %s", n, choices)
			}
			return bad(f.key, fmt.Sprintf("%q", g), "is no choice", hint)
		}
	}
	return nil
}

// bound is the smallest and largest value of a number.
type bound struct {
	lo, hi float64
	open   bool // lo itself is out
}

var bounds = map[string]bound{
	"data.few_shot": {0, 1e9, false}, "data.validation": {0, 0.95, false}, "data.count": {1, 1e8, false}, "data.test_count": {1, 1e8, false},
	"data.size": {8, 1024, false}, "data.workers": {0, 1024, false},
	"model.in_flight": {1, 1024, false}, "model.max_batch": {1, 1 << 20, false}, "model.retries": {0, 1000, false},
	"estimator.sigma": {0, 1e3, true}, "estimator.sigma_lr": {0, 10, false},
	"allocator.min_queries": {1, 1 << 20, false}, "allocator.lr": {0, 10, false}, "allocator.decay": {0, 0.9999, false}, "allocator.window": {1, 1e6, false},
	"budget.queries_per_image": {1, 1 << 20, false}, "budget.max_queries": {0, 1e18, false},
	"optimizer.lr": {0, 1e3, true}, "optimizer.momentum": {0, 0.99999, false}, "optimizer.eps": {0, 1, true}, "optimizer.weight_decay": {0, 10, false},
	"optimizer.warmup": {0, 1e9, false}, "optimizer.step_size": {1, 1e9, false}, "optimizer.gamma": {0, 10, true}, "optimizer.min_lr": {0, 1e3, false}, "optimizer.clip": {0, 1e9, false},
	"objective.temperature": {0.01, 100, false},
	"prompt.width":          {1, 512, false}, "prompt.count": {1, 1024, false}, "prompt.mapping.images": {1, 1e6, false},
	"train.steps": {0, 1e9, false}, "train.batch_size": {1, 1 << 20, false}, "train.eval_every": {0, 1e9, false}, "train.eval_images": {0, 1e9, false},
	"train.log_every": {1, 1e9, false}, "train.threads": {0, 4096, false}, "train.rollback_factor": {0, 1, true}, "train.max_rollbacks": {0, 1000, false},
	"checkpoint.every": {0, 1e9, false}, "checkpoint.keep_last": {0, 1e6, false},
}

func ranges(c *Config) error {
	for _, f := range fields {
		b, ok := bounds[f.key]
		if !ok {
			continue
		}
		v := reflect.ValueOf(c).Elem().FieldByIndex(f.path)
		x := 0.0
		if v.CanInt() {
			x = float64(v.Int())
		} else {
			x = v.Float()
		}
		if !(x >= b.lo && x <= b.hi) || b.open && x == b.lo {
			word := "from"
			if b.open {
				word = "above"
			}
			return bad(f.key, v.Interface(), "is out of range", fmt.Sprintf("give a number %s %v to %v", word, b.lo, b.hi))
		}
	}
	for key, list := range map[string][]float64{"optimizer.betas": c.Optimizer.Betas, "allocator.w": c.Allocator.W} {
		for _, v := range list {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return bad(key, v, "is no number", "give finite numbers")
			}
		}
	}
	if n := len(c.Optimizer.Betas); n != 2 || min(c.Optimizer.Betas[0], c.Optimizer.Betas[1]) < 0 || max(c.Optimizer.Betas[0], c.Optimizer.Betas[1]) >= 1 {
		return bad("optimizer.betas", c.Optimizer.Betas, "are not two decays", "give two numbers from 0 up to, not including, 1, such as [0.9, 0.999]")
	}
	if n := len(c.Allocator.W); n != 0 && n != 4 {
		return bad("allocator.w", c.Allocator.W, "are not the four parameters w0 to w3", "give four numbers, or leave it out for the defaults")
	}
	return nil
}

func models(c *Config) error {
	m := c.Model
	if d, err := time.ParseDuration(m.Timeout); err != nil || d <= 0 {
		return bad("model.timeout", fmt.Sprintf("%q", m.Timeout), "is no duration", "write a number and a unit, such as 30s or 2m")
	}
	if c.Data.Kind != "shapes" && c.Data.Path == "" {
		return uierr.New(fmt.Sprintf("data.path is empty and data.kind is %s", c.Data.Kind), "set data.path to where the images are, or data.kind: shapes for drawn ones")
	}
	switch m.Kind {
	case "remote":
		if m.URL == "" || m.Name == "" {
			return uierr.New("model.kind: remote needs model.url and model.name", "for example --set model.url=http://localhost:8000 --set model.name=vit")
		}
		if n := len(m.Shape); n != 0 && (n != 3 || slices.Min(m.Shape) < 1) {
			return bad("model.shape", m.Shape, "is no shape of an image", "give channels, height and width, as in [3, 224, 224]")
		}
	case "command":
		if len(m.Argv) == 0 {
			return uierr.New("model.kind: command needs model.argv", "for example argv: [python3, examples/command_model.py]")
		}
	}
	if m.Kind == "local" {
		return nil
	}
	if c.Estimator.Name != "weight" {
		return bad("estimator.name", c.Estimator.Name, "needs a model of our own", "a model that can only be called is trained with estimator.name: weight and a prompt")
	}
	if c.Prompt.Kind != "frame" {
		return bad("prompt.kind", c.Prompt.Kind, "leaves nothing to train in front of a model that can only be called", "set prompt.kind: frame")
	}
	if c.Objective.Kind == "contrastive" {
		return bad("objective.kind", "contrastive", "needs a model of our own", "use cross_entropy or accuracy")
	}
	return nil
}

func methods(c *Config) error {
	e := c.Estimator
	legal := map[string][]string{"activation": {"", "per_site", "joint", "random_site"}, "weight": {"", "all", "tensor"}, "bp": {""}}[e.Name]
	if !slices.Contains(legal, e.Schedule) {
		hint := "leave estimator.schedule out"
		if len(legal) > 1 {
			hint = "use " + strings.Join(legal[1:], ", ")
		}
		return bad("estimator.schedule", e.Schedule, "is no schedule of the "+e.Name+" estimator", hint)
	}
	if e.LearnSigma && e.Name != "activation" {
		return bad("estimator.learn_sigma", true, "works with the activation estimator only", "set estimator.learn_sigma: false")
	}
	if e.LearnSigma && e.Noise == "rademacher" {
		return bad("estimator.learn_sigma", true, "needs Gaussian noise: ±1 has one length", "set estimator.noise: gaussian")
	}
	if e.Noise == "rademacher" && e.QMC != "none" {
		return bad("estimator.qmc", e.QMC, "makes Gaussian directions", "set estimator.noise: gaussian or estimator.qmc: none")
	}
	if e.Schedule == "joint" && len(c.Sites.Params) > 0 {
		return bad("sites.params", c.Sites.Params, "are perturbed in a pass of their own, which the joint schedule has not", "use schedule per_site, the weight estimator, or leave sites.params out")
	}
	if e.Name == "bp" && !hasGradient(c.Objective.Kind) {
		return bad("objective.kind", c.Objective.Kind, "has no gradient", "use estimator.name: activation or weight")
	}
	return contrastive(c)
}

// hasGradient says whether an objective can be trained by backpropagation; of
// one that needs settings to exist it is believed here and found out when it is
// opened.
func hasGradient(kind string) bool {
	o, err := objective.New(kind)
	if err != nil {
		return true
	}
	_, ok := o.(objective.Differentiable)
	return ok
}

func contrastive(c *Config) error {
	o := c.Objective
	if o.Kind != "contrastive" {
		return nil
	}
	if o.Embeddings == "" {
		return uierr.New("objective.kind: contrastive needs objective.embeddings", "name a .safetensors, .npy or .parquet file of text embeddings; 'flops embed --texts' makes some")
	}
	if o.Pairing == "image" && c.Train.BatchSize < 2 {
		return bad("train.batch_size", c.Train.BatchSize, "leaves an image no text but its own to tell apart", "give at least 2")
	}
	if o.Pairing == "class" && o.TestEmbeddings != "" {
		return bad("objective.test_embeddings", o.TestEmbeddings, "are of no use: the test images have the same classes", "leave it out, or set objective.pairing: image")
	}
	return nil
}

func budgets(c *Config) error {
	b, a := c.Budget, c.Allocator
	if c.Estimator.Name == "bp" {
		return nil
	}
	if c.Estimator.Antithetic && a.MinQueries%2 != 0 {
		return bad("allocator.min_queries", a.MinQueries, "is odd, and antithetic pairs are two queries each", fmt.Sprintf("set allocator.min_queries: %d", a.MinQueries+1))
	}
	if b.QueriesPerImage < a.MinQueries {
		return bad("budget.queries_per_image", b.QueriesPerImage, fmt.Sprintf("is less than the %d queries that every image gets", a.MinQueries), fmt.Sprintf("raise it to at least %d, or lower allocator.min_queries", a.MinQueries))
	}
	if c.Estimator.Antithetic && b.QueriesPerImage*c.Train.BatchSize%2 != 0 {
		return bad("budget.queries_per_image", b.QueriesPerImage, "gives an odd number of queries, and antithetic pairs are two each", "make it even")
	}
	if b.MaxQueries > 0 && b.MaxQueries < int64(c.Train.BatchSize)*(1+int64(a.MinQueries)) {
		return bad("budget.max_queries", b.MaxQueries, "does not pay for one step", fmt.Sprintf("a step costs at least %d: a clean pass and %d queries for each of %d images", c.Train.BatchSize*(1+a.MinQueries), a.MinQueries, c.Train.BatchSize))
	}
	return nil
}

func schedules(c *Config) error {
	if d := c.Train.Device; d != "auto" && d != "cpu" && d != "cuda" && !strings.HasPrefix(d, "cuda:") {
		return bad("train.device", fmt.Sprintf("%q", d), "is no device", "use auto, cpu, cuda or cuda:1")
	}
	return nil
}

func prompts(c *Config) error {
	if c.Prompt.Kind == "tokens" && c.Model.Kind != "local" {
		return bad("prompt.kind", "tokens", "needs a model of our own", "use prompt.kind: frame")
	}
	if c.Prompt.Kind == "tokens" && c.Estimator.Name == "activation" && c.Estimator.Schedule == "joint" {
		return bad("prompt.kind", "tokens", "cannot be trained by the joint schedule", "use estimator.name: weight")
	}
	return nil
}
