package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/uierr"
)

// test is what one key is asked. The schema says the same (schema_rules.go).
type test struct {
	among  []any  // the value is one of these
	not    bool   // the value is none of them instead
	filled bool   // a text or a list is not empty
	empty  bool   // a text or a list is empty
	pairs  bool   // a number is even, or 1
	least  int    // a number is at least so large
	has    string // a list has this text
}

func is(values ...any) test    { return test{among: values} }
func isNot(values ...any) test { return test{among: values, not: true} }

// holds says whether a value passes.
func (t test) holds(v reflect.Value) bool {
	switch {
	case t.filled:
		return v.Len() > 0
	case t.empty:
		return v.Len() == 0
	case t.pairs:
		return v.Int()%2 == 0 || v.Int() == 1
	case t.least != 0:
		return v.Int() >= int64(t.least)
	case t.has != "":
		return slices.Contains(v.Interface().([]string), t.has)
	}
	return slices.Contains(t.among, v.Interface()) != t.not
}

// cond is a test of one key.
type cond struct {
	key string
	test
}

// holds says whether the condition holds in a config.
func (d cond) holds(c *Config) bool {
	f, _ := find(d.key)
	return d.test.holds(f.of(c))
}

// rule binds keys to each other: where all of when holds, then must.
type rule struct {
	when []cond
	then cond
	what string // instead of the key, its value and why
	why  string
	hint string
}

// rules lists every rule between keys that a schema can say; the first broken
// one is told.
func rules() []rule {
	called := cond{"model.kind", isNot("local")}
	contrastive := cond{"objective.kind", is("contrastive")}
	learned := cond{"estimator.learn_sigma", is(true)}
	rademacher := cond{"estimator.noise", is("rademacher")}
	joint := cond{"estimator.schedule", is("joint")}
	out := []rule{
		{[]cond{{"data.kind", isNot("shapes", "scenes")}}, cond{"data.path", test{filled: true}},
			"data.path is empty and data.kind is neither shapes nor scenes", "",
			"set data.path to where the images are, or data.kind: shapes or scenes for drawn ones"},
		{[]cond{{"model.kind", is("remote")}}, cond{"model.url", test{filled: true}},
			"model.kind: remote needs model.url and model.name", "",
			"for example --set model.url=http://localhost:8000 --set model.name=vit"},
		{[]cond{{"model.kind", is("remote")}}, cond{"model.name", test{filled: true}},
			"model.kind: remote needs model.url and model.name", "",
			"for example --set model.url=http://localhost:8000 --set model.name=vit"},
		{[]cond{{"model.kind", is("command")}}, cond{"model.argv", test{filled: true}},
			"model.kind: command needs model.argv", "",
			"for example argv: [python3, examples/command_model.py]"},
		{nil, cond{"model.arch.channels", isNot(2)}, "", "are no grey and no colour pictures", "give 1 or 3"},
		{[]cond{called}, cond{"estimator.name", is("weight")}, "", "needs a model of our own",
			"a model that can only be called is trained with estimator.name: weight and a prompt"},
		{[]cond{called}, cond{"prompt.kind", is("frame")}, "",
			"leaves nothing to train in front of a model that can only be called", "set prompt.kind: frame"},
		{[]cond{called}, cond{"objective.kind", isNot("contrastive")}, "", "needs a model of our own",
			"use cross_entropy or accuracy"},
		{[]cond{learned}, cond{"estimator.name", is("activation")},
			"estimator.learn_sigma: true works with the activation estimator only", "",
			"set estimator.learn_sigma: false"},
		{[]cond{learned}, cond{"estimator.noise", isNot("rademacher")},
			"estimator.learn_sigma: true needs Gaussian noise: ±1 has one length", "",
			"set estimator.noise: gaussian"},
		{[]cond{rademacher}, cond{"estimator.qmc", is("none")}, "", "makes Gaussian directions",
			"set estimator.noise: gaussian or estimator.qmc: none"},
		{[]cond{{"budget.unit", is("operations")}}, cond{"allocator.scope", isNot("image")},
			"budget.unit: operations has nothing to share among passes that all have the same", "",
			"set allocator.scope: site or both"},
		{[]cond{called}, cond{"budget.early", is(0.0)}, "", "is not known of a model that can only be called",
			"set budget.early: 0"},
		{[]cond{{"budget.unit", is("operations")}}, cond{"model.kind", is("local")},
			"budget.unit: operations is not known of a model that can only be called", "", "set budget.unit: queries"},
		{[]cond{joint}, cond{"sites.params", test{empty: true}}, "",
			"are perturbed in a pass of their own, which the joint schedule has not",
			"use schedule per_site, the weight estimator, or leave sites.params out"},
		{[]cond{contrastive, {"model.path", test{empty: true}}}, cond{"objective.embeddings", test{filled: true}},
			"objective.kind: contrastive needs objective.embeddings", "",
			"name a .safetensors, .npy or .parquet file of text embeddings; 'flops embed --texts' makes some"},
		{[]cond{contrastive, {"objective.pairing", is("image")}}, cond{"objective.embeddings", test{filled: true}},
			"objective.pairing: image needs objective.embeddings", "",
			"name a file with a text embedding of every image; 'flops embed --model CLIP --texts FILE' makes such"},
		{[]cond{contrastive, {"objective.pairing", is("image")}}, cond{"train.batch_size", test{least: 2}}, "",
			"leaves an image no text but its own to tell apart", "give at least 2"},
		{[]cond{contrastive, {"objective.pairing", is("class")}},
			cond{"objective.test_embeddings", test{empty: true}}, "",
			"are of no use: the test images have the same classes", "leave it out, or set objective.pairing: image"},
		{[]cond{asks(), {"estimator.antithetic", is(true)}},
			cond{"allocator.min_queries", test{pairs: true}}, "",
			"is odd, and antithetic pairs are two queries each", "make it even"},
		{[]cond{{"prompt.kind", is("tokens")}, {"estimator.name", is("activation")},
			{"sites.train", isNot(anys(parts.Those(parts.Tokens))...)}},
			cond{"estimator.schedule", isNot("joint")},
			"prompt.kind: tokens cannot be trained by the joint schedule", "",
			"use sites.train: prompt or estimator.name: weight"},
	}
	out = append(out, splitRules()...)
	out = append(out, wordRules()...)
	out = append(out, partRules()...)
	for _, n := range metric.Names() {
		if metric.Named(n).Standard == 0 {
			out = append(out, rule{[]cond{{"checkpoint.best_metric", is(n)}}, cond{"train.metrics", test{has: n}},
				"checkpoint.best_metric: " + n + " is not measured", "", "add it to train.metrics"})
		}
	}
	for _, e := range lr.Names() {
		out = append(out, scheduleRule(e))
	}
	if without := slices.DeleteFunc(objective.Names(), hasGradient); len(without) > 0 {
		out = append(out, rule{[]cond{{"estimator.name", is(anys(lr.Those(lr.Silent))...)}},
			cond{"objective.kind", isNot(anys(without)...)}, "", "has no gradient",
			"use estimator.name: activation or weight"})
	}
	return out
}

// asks is that the estimator asks queries.
func asks() cond { return cond{"estimator.name", isNot(anys(lr.Those(lr.Silent))...)} }

// wordRules are those of a context that is learned before the names of classes.
func wordRules() []rule {
	words := cond{"prompt.kind", is("context", "text-subspace")}
	zero := cond{"model.head", is("zero-shot")}
	return []rule{
		{[]cond{zero}, cond{"model.path", test{filled: true}}, "model.head: zero-shot: a new network has no text tower", "",
			"set model.path to a folder of a CLIP or SigLIP"},
		{[]cond{zero}, cond{"objective.kind", isNot("contrastive")}, "", "has no classifier", "leave model.head out"},
		{[]cond{zero}, cond{"prompt.kind", isNot("context", "text-subspace")}, "", "has no classifier",
			"leave model.head out"},
		{[]cond{words}, cond{"model.kind", is("local")}, "", "shows its answers alone, and no text tower",
			"use model.kind: local, or prompt.kind: frame"},
		{[]cond{words}, cond{"model.path", test{filled: true}}, "prompt.kind: a new network has no text tower", "",
			"set model.path to a folder of a CLIP or SigLIP"},
		{[]cond{words}, cond{"estimator.name", isNot(anys(lr.Those(lr.AtSites))...)}, "", "needs sites, and a learned context has none",
			"use estimator.name: weight or bp"},
		{[]cond{words, asks()}, cond{"allocator.name", is("uniform")}, "",
			"has nothing to share out: the texts of a query answer for every image", "set allocator.name: uniform"},
		{[]cond{words}, cond{"data.augment", test{empty: true}}, "",
			"would make every image another each time, and its embedding is made once", "leave data.augment out"},
		{[]cond{words}, cond{"objective.kind", isNot("contrastive")}, "", "has texts of its own",
			"use cross_entropy or accuracy"},
	}
}

// splitRules are those of the validation split.
func splitRules() []rule {
	named := test{filled: true}
	unnamed := test{empty: true}
	return []rule{
		{[]cond{{"data.shots", isNot(0)}}, cond{"data.few_shot", is(0)}, "", "says the same as data.shots",
			"give one of the two"},
		{[]cond{{"data.validation_split", named}}, cond{"data.validation", is(0.0)}, "",
			"holds images out, and data.validation_split names a split", "give one of the two"},
		{[]cond{{"checkpoint.best", is("validation")}, {"data.validation_split", unnamed}},
			cond{"data.validation", isNot(0.0)}, "checkpoint.best: validation is no split of this experiment", "",
			"set data.validation to a share such as 0.1, or data.validation_split to the name of a split"},
	}
}

// scheduleRule is that an estimator has its own schedules alone.
func scheduleRule(estimator string) rule {
	legal := lr.Schedules(estimator)
	hint := "leave estimator.schedule out"
	if len(legal) > 0 {
		hint = "use " + strings.Join(legal, ", ")
	}
	return rule{[]cond{{"estimator.name", is(estimator)}}, cond{"estimator.schedule",
		is(append([]any{""}, anys(legal)...)...)}, "",
		"is no schedule of the " + estimator + " estimator", hint}
}

func anys(s []string) []any {
	out := make([]any, len(s))
	for i, x := range s {
		out[i] = x
	}
	return out
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

// related checks the rules between keys.
func related(c *Config) error {
	for _, r := range rules() {
		if !r.broken(c) {
			continue
		}
		if r.what != "" {
			return uierr.New(r.what, r.hint)
		}
		f, _ := find(r.then.key)
		return bad(r.then.key, fmt.Sprint(f.of(c).Interface()), r.why, r.hint)
	}
	return nil
}

func (r rule) broken(c *Config) bool {
	for _, w := range r.when {
		if !w.holds(c) {
			return false
		}
	}
	return !r.then.holds(c)
}
