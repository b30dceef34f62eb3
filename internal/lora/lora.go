// Package lora learns adapters of low rank beside the weights of linear maps. A network
// computes with
//
//	W = W₀ + (α/r) B A,   A: r×in, B: out×r
//
// in the place of the weight itself, so that every estimator, device and kernel serves
// adapters as it serves weights: an estimate Ĝ of the gradient by W becomes that by the
// factors through the chain rule,
//
//	∂A = (α/r) Bᵀ Ĝ,   ∂B = (α/r) Ĝ Aᵀ,
//
// which is linear in Ĝ and so as unbiased as that is. Where Ĝ would be a derivative, they
// are made without it (Thin). LoRA: Hu and others, ICLR 2022,
// arXiv 2106.09685.
package lora

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/noise"
)

// Options of a Set.
type Options struct {
	Rank  int
	Alpha float64 // adapters count Alpha/Rank times
	Seed  uint64  // draws every A
}

// Set is the adapters of a network.
type Set struct {
	o       Options
	list    []*adapter
	scratch kernel.Scratch
	packed  kernel.Packed
}

// adapter is that of one weight: A and B, or the core between directions that stay.
type adapter struct {
	w, a, b *forward.Param
	core    *between
	base    []float32 // W₀ where w is W; see w0
	out, in int
	thin    bool // w stays W₀, and the gradients are made where derivatives are
}

// w0 is W₀: a copy from before the first Merge, or the weight that none is merged into.
func (x *adapter) w0() []float32 {
	if x.thin {
		return x.w.Data
	}
	if x.base == nil {
		x.base = slices.Clone(x.w.Data)
	}
	return x.base
}

// trained are the factors that are learned.
func (x *adapter) trained() []*forward.Param {
	if x.core != nil {
		return []*forward.Param{x.core.c}
	}
	return []*forward.Param{x.a, x.b}
}

// kept are the numbers of a state besides those trained and the base, by their names.
func (x *adapter) kept() map[string][]float32 {
	if x.core != nil {
		return map[string][]float32{Base(x.w.Name) + left: x.core.Left, Base(x.w.Name) + right: x.core.Right}
	}
	return nil
}

// New begins adapters beside weights that change nothing yet: B is 0, and A drawn with
// the variance 1/(3 in), that of PEFT's.
func New(weights []*forward.Param, o Options) *Set {
	s := &Set{o: o}
	for _, w := range weights {
		out := w.Shape[0]
		x := &adapter{w: w, out: out, in: len(w.Data) / out}
		x.a, x.b = factor(w, A, o.Rank, x.in), factor(w, B, x.out, o.Rank)
		g := noise.Rand(o.Seed, noise.Init, uint32(1<<20+len(s.list)))
		std := 1 / math.Sqrt(3*float64(x.in))
		for i := range x.a.Data {
			x.a.Data[i] = float32(std * g.Normal())
		}
		s.list = append(s.list, x)
	}
	return s
}

// factor is one of the parameters of a weight's adapter.
func factor(w *forward.Param, name string, rows, columns int) *forward.Param {
	n := rows * columns
	return &forward.Param{Name: Base(w.Name) + "." + name, Shape: []int{rows, columns}, Data: make([]float32, n),
		Grad: make([]float32, n), Role: "adapter", Decay: true, Block: w.Block}
}

// A and B end the names of an adapter's factors.
const (
	A = "lora_A.weight"
	B = "lora_B.weight"
)

// Base is the name of a map without that of its weight.
func Base(weight string) string {
	return strings.TrimSuffix(weight, ".weight")
}

// Params are the factors that are learned, A before B, or the cores.
func (s *Set) Params() []*forward.Param {
	var out []*forward.Param
	for _, x := range s.list {
		out = append(out, x.trained()...)
	}
	return out
}

// Clear forgets the gradients of the weights, which are no parameters that are trained.
func (s *Set) Clear() {
	if s == nil {
		return
	}
	for _, x := range s.list {
		clear(x.w.Grad)
	}
}

// Through puts the factors in the place of their weights in a list of parameters that
// have a gradient, and makes their gradients of those of the weights.
func (s *Set) Through(with []*forward.Param) []*forward.Param {
	if s == nil {
		return with
	}
	var out []*forward.Param
	for _, p := range with {
		i := slices.IndexFunc(s.list, func(x *adapter) bool { return x.w == p })
		if i < 0 {
			out = append(out, p)
			continue
		}
		s.gradient(s.list[i])
		out = append(out, s.list[i].trained()...)
	}
	return out
}

// gradient is that of the factors of one weight.
func (s *Set) gradient(x *adapter) {
	r := s.o.Rank
	switch {
	case x.thin:
		return
	case x.core != nil:
		s.coreGradient(x)
		return
	}
	s.packed.PackNT(x.a.Data, r, x.in, x.in)
	kernel.Gemm(x.b.Grad, r, x.w.Grad, x.in, x.out, &s.packed, &kernel.Epilogue{Scale: s.scale()}, &s.scratch)
	kernel.GemmTN(x.a.Grad, x.in, x.b.Data, r, x.w.Grad, x.in, r, x.in, x.out, false, &s.scratch)
	kernel.Scale(x.a.Grad, s.scale())
}

func (s *Set) scale() float32 { return float32(s.o.Alpha / float64(s.o.Rank)) }

// Merge writes the weights that the network computes with, but for those that Thin has
// it make itself.
func (s *Set) Merge() {
	if s == nil {
		return
	}
	for _, x := range s.list {
		if !x.thin {
			s.merged(x, x.w.Data, x.data)
		}
	}
}

// data is the value of a factor that is learned.
func (x *adapter) data(name string) []float32 {
	for _, p := range x.trained() {
		if p.Name == name {
			return p.Data
		}
	}
	return nil
}

// merged writes base + scale·b·a, of the values that the factors learned have.
func (s *Set) merged(x *adapter, w []float32, of func(name string) []float32) {
	a, b := s.factors(x, of)
	s.packed.PackNN(a, s.o.Rank, x.in, x.in)
	kernel.Gemm(w, x.in, b, s.o.Rank, x.out, &s.packed,
		&kernel.Epilogue{Scale: s.scale(), Residual: x.w0(), LdRes: x.in}, &s.scratch)
}

// Merged is a weight with other values of its factors, by their names, or with those that
// they have where of is nil; nil of a weight that has no adapter, or holds this already.
func (s *Set) Merged(weight string, of func(name string) []float32) []float32 {
	if s == nil {
		return nil
	}
	for _, x := range s.list {
		if x.w.Name == weight && (x.thin || of != nil) {
			out, values := make([]float32, len(x.w.Data)), x.data
			if of != nil {
				values = of
			}
			s.merged(x, out, values)
			return out
		}
	}
	return nil
}

// What a checkpoint keeps, each name after Prefix.
const (
	Prefix = "adapter."
	base   = ".base_weight"
	alpha  = "alpha"
)

// State is what a run needs to go on: the factors, by their names, the weights that they
// are added to, and alpha. of has other values of a factor than its own; nil: none.
func (s *Set) State(of func(name string) []float32) map[string][]float32 {
	if s == nil {
		return nil
	}
	out := map[string][]float32{Prefix + alpha: {float32(s.o.Alpha)}}
	for _, x := range s.list {
		out[Prefix+Base(x.w.Name)+base] = x.w0()
		for name, v := range x.kept() {
			out[Prefix+name] = v
		}
		for _, p := range x.trained() {
			out[Prefix+p.Name] = p.Data
			if of != nil {
				out[Prefix+p.Name] = of(p.Name)
			}
		}
	}
	return out
}

// Begin gives the adapter of a weight the values to begin with, and says whether there
// is one of these sizes.
func (s *Set) Begin(weight string, a, b []float32) bool {
	for _, x := range s.list {
		if x.w.Name == weight && x.core == nil && len(a) == len(x.a.Data) && len(b) == len(x.b.Data) {
			copy(x.a.Data, a)
			copy(x.b.Data, b)
			return true
		}
	}
	return false
}

// Kept is the adapter of a weight in a state.
type Kept struct {
	Weight     string
	A, B, Base []float32
}

// Read finds the adapters in a state, sorted by their weights, with their alpha; none
// where there are none. Of a core it is the adapter that computes alike: A the directions
// at the inputs, B those at the outputs times the core.
func Read(state map[string][]float32) (out []Kept, scale float64) {
	if v := state[Prefix+alpha]; len(v) == 1 {
		scale = float64(v[0])
	}
	for name, v := range state {
		module, ok := strings.CutSuffix(strings.TrimPrefix(name, Prefix), base)
		if !ok || !strings.HasPrefix(name, Prefix) {
			continue
		}
		k := Kept{Weight: module + ".weight", A: state[Prefix+module+"."+A], B: state[Prefix+module+"."+B], Base: v}
		if c := state[Prefix+module+"."+Core]; c != nil {
			k.A, k.B = folded(state[Prefix+module+left], c, state[Prefix+module+right])
		}
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b Kept) int { return strings.Compare(a.Weight, b.Weight) })
	return out, scale
}

// Restore takes a state back, out of the tensors of a checkpoint.
func (s *Set) Restore(state map[string][]float32) error {
	if s == nil {
		return nil
	}
	take := func(name string, dst []float32) error {
		v := state[Prefix+name]
		if len(v) != len(dst) {
			return fmt.Errorf("lora: a checkpoint has %d numbers of %s, the run %d", len(v), name, len(dst))
		}
		copy(dst, v)
		return nil
	}
	for _, x := range s.list {
		all := map[string][]float32{Base(x.w.Name) + base: x.w0()}
		maps.Copy(all, x.kept())
		for _, p := range x.trained() {
			all[p.Name] = p.Data
		}
		for name, dst := range all {
			if err := take(name, dst); err != nil {
				return err
			}
		}
	}
	return nil
}
