package vit

import (
	"math"
	"slices"
)

// paramList makes the specs of usual parameters, in the order of its calls.
type paramList struct {
	specs []ParamSpec
	block int // that the next ones are part of, -1 outside the blocks
}

func (p *paramList) put(s ParamSpec) {
	s.Block = p.block
	p.specs = append(p.specs, s)
}

func (p *paramList) add(name, role string, std float64, shape ...int) {
	p.put(ParamSpec{Name: name, Shape: shape, Role: role, Init: Init{Std: std}})
}

// linear is a map of out rows, drawn so that its outputs vary as its inputs do,
// and its bias of zeros.
func (p *paramList) linear(name string, bias bool, shape ...int) {
	in := 1
	for _, n := range shape[1:] {
		in *= n
	}
	p.put(ParamSpec{Name: name + ".weight", Shape: slices.Clone(shape), Role: "linear", Decay: true,
		Init: Init{Std: 1 / math.Sqrt(float64(in))}})
	if bias {
		p.put(ParamSpec{Name: name + ".bias", Shape: shape[:1:1], Role: "linear"})
	}
}

// norm is a layer norm that changes nothing.
func (p *paramList) norm(name string, width int) {
	p.put(ParamSpec{Name: name + ".weight", Shape: []int{width}, Role: "norm", Init: Init{Value: 1}})
	p.put(ParamSpec{Name: name + ".bias", Shape: []int{width}, Role: "norm"})
}

// classifier is the map to the logits; its weights begin small, so that a new
// one says nothing yet.
func (p *paramList) classifier(name string, classes, width int) {
	p.put(ParamSpec{Name: name + ".weight", Shape: []int{classes, width}, Role: "linear", Decay: true,
		Init: Init{Std: smallStd}})
	p.put(ParamSpec{Name: name + ".bias", Shape: []int{classes}, Role: "linear"})
}
