package forward

import (
	"context"
	"slices"
	"testing"

	"github.com/flops-vit/flops/noise"
)

// ladder is a model of layers whose outputs are linear in the noise at the rows read of
// them: all that local feedback makes of it is a formula of a line.
type ladder struct {
	layers []Layer
	items  int
	params []*Param
	by     [][][]float64 // per layer and item: ∂outputs/∂rows read, classes×noise
	clean  []float64     // outputs of each item
	e      []float32     // ∂ℓ/∂outputs of each item
	below  [][][]float64 // per layer and item: what 1 of each number read leaves at the input, noise×(Rows·Width)
	src    noise.Source
	got    []LayerGradient // what AccumulateLayer was told of each layer
	top    int             // calls of AccumulateTop that wanted a parameter's gradient
}

const (
	ladderClasses = 3
	ladderWidth   = 4
	ladderRows    = 5
)

// newLadder draws one of so many layers, of which these runs of rows are read from row 0 on.
func newLadder(layers, items int, runs ...int) *ladder {
	g := noise.Rand(41, noise.Test)
	m := &ladder{items: items, src: noise.Gaussian(5), clean: normals(g, items*ladderClasses, 1)}
	for k := range items * ladderClasses {
		m.e = append(m.e, float32(g.Normal()*float64(1+k/ladderClasses)))
	}
	for b := range layers {
		x := Layer{Number: b, Last: b == layers-1, Width: ladderWidth, Reads: runs[len(runs)-1], Runs: runs, Rows: ladderRows,
			Outs: ladderRows, Some: true, Params: []int{b}}
		if b == 0 {
			x.Rows = 0
		}
		if x.Last {
			x.Outs = x.Reads
		}
		var by, below [][]float64
		for range items {
			by = append(by, normals(g, ladderClasses*x.noise(), 1))
			below = append(below, normals(g, x.noise()*x.Rows*x.Width, 0.3))
		}
		m.layers, m.by, m.below = append(m.layers, x), append(m.by, by), append(m.below, below)
	}
	for range layers + 1 { // the last comes after the layers
		m.params = append(m.params, &Param{Data: make([]float32, 1), Grad: make([]float32, 1), Role: "linear"})
	}
	return m
}

func (m *ladder) Params() []*Param { return m.params }
func (m *ladder) Sites() (out []Site) {
	for b := range m.layers {
		out = append(out, Site{Name: "layer", Weight: -1, Bias: -1, FLOPs: []int64{1000, 100, 10}[b]})
	}
	return out
}
func (m *ladder) Layer(site int) (Layer, bool) { return m.layers[site], true }
func (m *ladder) Top() []int                   { return []int{len(m.layers)} }
func (m *ladder) Known(int) bool               { return false }

// Grad implements Graded: the derivative is what the ladder drew.
func (m *ladder) Grad(d, _ []float32, _, _ int, _ []int32, scale float32) error {
	for k, v := range m.e {
		d[k] = scale * v
	}
	return nil
}

// ladderLoss is a loss of which nothing but the derivative is asked.
type ladderLoss struct{ *ladder }

func (ladderLoss) Losses([]float32, []float32, int, int, []int32) error { return nil }

func (m *ladder) Clean(context.Context, *Batch, []int) (Pass, error) {
	c := &Clean{Losses: make([]float32, m.items), Loss: ladderLoss{m}, Classes: ladderClasses}
	for _, v := range m.clean {
		c.Logits = append(c.Logits, float32(v))
	}
	return ladderPass{m, c}, nil
}

type ladderPass struct {
	*ladder
	clean *Clean
}

func (p ladderPass) Clean() *Clean                                                   { return p.clean }
func (p ladderPass) Losses(context.Context, *Perturbation, []Query, []float32) error { return nil }
func (p ladderPass) Accumulate(context.Context, *Perturbation, []Term) error         { return nil }

// eps is the noise of a direction at a layer.
func (m *ladder) eps(step uint32, b, item, pair int) []float32 {
	v := make([]float32, m.layers[b].noise())
	m.src.Fill(v, noise.Counter{Step: step, Site: uint32(b), Image: uint32(item), Pair: uint32(pair)}, 0)
	return v
}

// times adds the outputs' change by x at the rows read of a layer.
func (m *ladder) times(out []float64, b, item int, c float64, x []float32) {
	for k := range out {
		for n, v := range x {
			out[k] += c * m.by[b][item][k*len(x)+n] * float64(v)
		}
	}
}

func (p ladderPass) Outputs(_ context.Context, t *Perturbation, q []Query, _, outputs []float32) error {
	for j, x := range q {
		y := slices.Clone(p.ladder.clean[int(x.Image)*ladderClasses:][:ladderClasses])
		for k, b := range t.Sites {
			p.times(y, b, int(x.Image), float64(x.Sign)*float64(t.Sigma[k]), p.eps(t.Step, b, int(x.Image), int(x.Pair)))
		}
		for c, v := range y {
			outputs[j*ladderClasses+c] = float32(v)
		}
	}
	return nil
}

func (p ladderPass) Above(_ context.Context, items []int32, add, outputs []float32) error {
	n := p.layers[0].noise()
	for j, i := range items {
		y := slices.Clone(p.ladder.clean[int(i)*ladderClasses:][:ladderClasses])
		p.times(y, len(p.layers)-1, int(i), 1, add[j*n:(j+1)*n])
		for c, v := range y {
			outputs[j*ladderClasses+c] = float32(v)
		}
	}
	return nil
}

// known is the derivative of an item's loss by the rows read of a layer.
func (m *ladder) known(b, item int) []float64 {
	n := m.layers[b].noise()
	out := make([]float64, n)
	for c := range ladderClasses {
		for k := range n {
			out[k] += float64(m.e[item*ladderClasses+c]) * m.by[b][item][c*n+k]
		}
	}
	return out
}

func (p ladderPass) AccumulateTop(_ context.Context, params []int, at []float32) error {
	p.top += len(params)
	for k := range at {
		n := p.layers[0].noise()
		at[k] = float32(p.known(len(p.layers)-1, k/n)[k%n] / float64(p.items))
	}
	return nil
}

func (p ladderPass) AccumulateLayer(_ context.Context, site int, g LayerGradient, _ []int, below []float32) error {
	p.got[site] = LayerGradient{At: slices.Clone(g.At), Rest: slices.Clone(g.Rest), Rows: slices.Clone(g.Rows)}
	copy(below, p.leaves(site, g.At))
	return nil
}

// leaves is what a gradient at the rows read of a layer leaves at its input.
func (m *ladder) leaves(b int, at []float32) (out []float32) {
	n := m.layers[b].noise()
	for i := range m.items {
		size := len(m.below[b][i]) / n
		for k := range size {
			var s float64
			for j, v := range at[i*n : (i+1)*n] {
				s += float64(v) * m.below[b][i][j*size+k]
			}
			out = append(out, float32(s))
		}
	}
	return out
}

// ladderOf makes local feedback on it, with Jacobians drawn.
func ladderOf(t *testing.T, m *ladder, o LocalOptions) (*Estimator, *Feedback) {
	t.Helper()
	o.Sigma, o.Noise = 0.5, m.src
	for b := range m.layers {
		o.Sites = append(o.Sites, b)
	}
	for i := range m.params {
		o.Params = append(o.Params, i)
	}
	e, err := Local(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return e, drawnFeedback(t, e.Asker.(*local).f)
}

// drawnFeedback has Jacobians drawn of the layers that learn them.
func drawnFeedback(t *testing.T, f *Feedback) *Feedback {
	t.Helper()
	if err := f.begin(ladderClasses); err != nil {
		t.Fatal(err)
	}
	r := noise.Rand(3, noise.Test)
	for b := range f.j {
		for k := range f.j[b] {
			if f.j[b][k] = float32(r.Normal()); f.known[b] {
				f.j[b][k] = 0
			}
		}
	}
	return f
}

// step asks the queries of a step and has its gradient made.
func (m *ladder) step(t *testing.T, e *Estimator, s *Step) []Record {
	t.Helper()
	s.Batch = &Batch{Size: m.items}
	s.Pass, _ = m.Clean(t.Context(), s.Batch, nil)
	s.Clean = s.Pass.Clean()
	m.got, m.top = make([]LayerGradient, len(m.layers)), 0
	r, err := e.Ask(t.Context(), m, s)
	if err == nil {
		err = e.Accumulate(t.Context(), s, r.Records)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r.Records
}
