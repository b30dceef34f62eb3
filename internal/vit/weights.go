package vit

import (
	"fmt"
	"math"

	"github.com/flops-vit/flops/internal/query"
)

const (
	nameCls     = "vit.embeddings.cls_token"
	namePos     = "vit.embeddings.position_embeddings"
	namePatch   = "vit.embeddings.patch_embeddings.projection"
	nameNorm    = "vit.layernorm"
	namePrompts = "prompt.tokens"
)

// blockParam are the Hugging Face names of a block's linear maps, in the order
// of blockKinds.
var blockParam = []string{"attention.attention.query", "attention.attention.key", "attention.attention.value",
	"attention.output.dense", "intermediate.dense", "output.dense"}

func blockPrefix(l int) string { return fmt.Sprintf("vit.encoder.layer.%d.", l) }

// Weights are the parameters of one network in the order of a forward.
type Weights struct {
	Arch   Arch
	params []*query.Param
	byName map[string]int
}

// NewWeights makes the parameters of an architecture, all zero.
func NewWeights(a Arch) (*Weights, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	w := &Weights{Arch: a, byName: map[string]int{}}
	D := a.Hidden
	w.add(nameCls, "cls_token", false, 1, 1, D)
	w.add(namePos, "position", false, 1, 1+a.Patches(), D)
	if a.Prompts > 0 {
		w.add(namePrompts, "prompt", false, 1, a.Prompts, D)
	}
	w.add(namePatch+".weight", "linear", true, D, a.Chans, a.Patch, a.Patch)
	w.add(namePatch+".bias", "linear", false, D)
	for l := 0; l < a.Layers; l++ {
		p := blockPrefix(l)
		for i, name := range blockParam {
			out, in := D, D
			switch blockKinds[i] {
			case MLPIn:
				out = a.MLP
			case MLPOut:
				in = a.MLP
			}
			w.add(p+name+".weight", "linear", true, out, in)
			if !(a.NoQKVBias && isQKV(blockKinds[i])) {
				w.add(p+name+".bias", "linear", false, out)
			}
		}
		for _, name := range []string{"layernorm_before", "layernorm_after"} {
			w.add(p+name+".weight", "norm", false, D)
			w.add(p+name+".bias", "norm", false, D)
		}
	}
	w.add(nameNorm+".weight", "norm", false, D)
	w.add(nameNorm+".bias", "norm", false, D)
	w.add("classifier.weight", "linear", true, a.Classes, D)
	w.add("classifier.bias", "linear", false, a.Classes)
	return w, nil
}

func isQKV(kind string) bool { return kind == Query || kind == Key || kind == Value }

func (w *Weights) add(name, role string, decay bool, shape ...int) {
	n := 1
	for _, s := range shape {
		n *= s
	}
	w.byName[name] = len(w.params)
	w.params = append(w.params, &query.Param{Name: name, Shape: shape, Data: make([]float32, n), Role: role, Decay: decay})
}

// Params lists the parameters; the slice and what it points to are the network's own.
func (w *Weights) Params() []*query.Param { return w.params }

// Own adds a parameter that is no part of the network, such as an objective's
// temperature, so that estimators find it in Params.
func (w *Weights) Own(p *query.Param) {
	w.byName[p.Name] = len(w.params)
	w.params = append(w.params, p)
}

// Index is the position of a parameter in Params, or -1.
func (w *Weights) Index(name string) int {
	if i, ok := w.byName[name]; ok {
		return i
	}
	return -1
}

// Param is the parameter of that name; it panics on a name that no ViT has,
// which only this package can ask for.
func (w *Weights) param(name string) *query.Param {
	i, ok := w.byName[name]
	if !ok {
		panic("vit: no parameter " + name)
	}
	return w.params[i]
}

// Count is the number of values in all parameters.
func (w *Weights) Count() int {
	n := 0
	for _, p := range w.params {
		n += len(p.Data)
	}
	return n
}

// Normal draws standard normal numbers for an initialisation; offset names the
// tensor, so that each gets its own stream.
type Normal func(dst []float32, tensor int)

// positionStd is the deviation of a new network's position embeddings, half that
// of the patches they are added to. The usual 0.02 hides where a patch is until
// training has made the embeddings larger, and the noise of forward learning
// drowns that slow start: a demo that must tell rows from columns stays at
// chance between the two.
const positionStd = 0.5

// Init draws the parameters that names lists, or all of them when it is nil:
// linear maps from N(0, 1/fan-in), the cls token and the classifier from
// N(0, 0.02²), position embeddings from N(0, 0.5²), biases zero, norms one.
func (w *Weights) Init(draw Normal, names ...string) {
	want := map[string]bool{}
	for _, n := range names {
		want[n] = true
	}
	for i, p := range w.params {
		if len(names) > 0 && !want[p.Name] {
			continue
		}
		std := 0.02
		switch {
		case p.Role == "norm":
			v := float32(0)
			if isWeight(p.Name) {
				v = 1
			}
			for j := range p.Data {
				p.Data[j] = v
			}
			continue
		case p.Role == "linear" && !isWeight(p.Name):
			clear(p.Data)
			continue
		case p.Role == "position":
			std = positionStd
		case p.Role == "linear" && p.Name != "classifier.weight":
			std = 1 / math.Sqrt(float64(len(p.Data)/p.Shape[0]))
		}
		draw(p.Data, i)
		for j := range p.Data {
			p.Data[j] *= float32(std)
		}
	}
}

func isWeight(name string) bool { return len(name) > 7 && name[len(name)-7:] == ".weight" }
