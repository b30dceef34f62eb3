package config

import (
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/parts"
)

// partRules are those of what is trained of a network.
func partRules() []rule {
	some := cond{"sites.train", isNot(anys(parts.Those(parts.Whole))...)}
	adapts := cond{"sites.train", is(anys(parts.Those(parts.Adapts))...)}
	return []rule{
		{[]cond{some}, cond{"model.kind", is("local")}, "", "shows its answers alone, and no parameters",
			"leave sites.train out"},
		{[]cond{some}, cond{"sites.params", test{empty: true}}, "", "are more than sites.train chooses",
			"leave sites.params out, or set sites.train: all"},
		{[]cond{some}, cond{"prompt.kind", isNot("context", "text-subspace", "frame")}, "",
			"trains texts or pixels, and sites.train names parameters of the network", "leave sites.train out"},
		{[]cond{{"prompt.kind", is("tokens")}},
			cond{"sites.train", is(anys(append(parts.Those(parts.Whole), parts.Those(parts.Tokens)...))...)}, "",
			"trains none of the tokens of prompt.kind: tokens", "set sites.train: prompt, or prompt.kind: none"},
		{[]cond{adapts}, cond{"estimator.name", is(anys(append(lr.Those(lr.AtSites), lr.Those(lr.Silent)...))...)}, "",
			"adds noise to the weights that the network computes with, and adapters are two factors of them",
			"use estimator.name: activation or bp"},
		{[]cond{{"model.adapter", test{filled: true}}}, cond{"model.path", test{filled: true}},
			"model.adapter: an adapter belongs to a model, and model.path names none", "",
			"set model.path to the folder of the model that it was made for"},
		{[]cond{{"model.adapter", test{filled: true}}}, cond{"model.kind", is("local")}, "",
			"shows its answers alone, and no weights that an adapter could change", "leave model.adapter out"},
		{[]cond{{"model.adapter", test{filled: true}}}, cond{"objective.kind", isNot("contrastive")}, "",
			"has no classifier, and model.adapter is of a model with one",
			"merge it first: flops model export ADAPTER OUT, and set model.path to OUT"},
		{[]cond{{"model.adapter", test{filled: true}}}, cond{"prompt.kind", isNot("context", "text-subspace")}, "",
			"trains texts, and model.adapter is of a model with a classifier",
			"merge it first: flops model export ADAPTER OUT, and set model.path to OUT"},
	}
}
