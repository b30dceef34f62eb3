package vit

import (
	"slices"

	"github.com/flops-vit/flops/forward"
)

// Weights are the parameters of one network in the order of a forward.
type Weights struct {
	Arch   Architecture
	specs  []ParamSpec
	params []*forward.Param
	byName map[string]int
}

// NewWeights makes the parameters of an architecture, all zero.
func NewWeights(a Architecture) (*Weights, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	w := &Weights{Arch: a, specs: a.Params(), byName: map[string]int{}}
	for _, s := range w.specs {
		n := 1
		for _, d := range s.Shape {
			n *= d
		}
		w.Own(&forward.Param{Name: s.Name, Shape: s.Shape, Data: make([]float32, n), Role: s.Role, Decay: s.Decay,
			Block: s.Block})
	}
	return w, nil
}

// Params lists the parameters; the slice and what it points to are the network's own.
func (w *Weights) Params() []*forward.Param { return w.params }

// Own adds a parameter that is no part of the network, such as an objective's
// temperature, so that estimators find it in Params.
func (w *Weights) Own(p *forward.Param) {
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

// param is the parameter of that name; it panics on a name that no ViT has,
// which only this package can ask for.
func (w *Weights) param(name string) *forward.Param {
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

// Normal draws standard normal numbers for an initialisation; tensor numbers
// the tensor, so that each gets its own stream.
type Normal func(dst []float32, tensor int)

// Init draws the parameters that names lists, or all of them when it is nil, as
// their specs say.
func (w *Weights) Init(draw Normal, names ...string) {
	for i, s := range w.specs {
		if len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		data := w.params[i].Data
		if s.Init.Std == 0 {
			for j := range data {
				data[j] = float32(s.Init.Value)
			}
			continue
		}
		draw(data, i)
		for j := range data {
			data[j] *= float32(s.Init.Std)
		}
	}
}
