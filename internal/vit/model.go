package vit

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/noise"
)

// Options of a Model.
type Options struct {
	Threads int                 // workers of the CPU; 0: every core
	Noise   noise.Source        // the directions of the queries
	Loss    objective.Objective // what a query answers
	Mask    bool                // structural mask of the gradients (docs/method.md)
	Exact   bool                // queries of the weights are answered by forward.Tangent
	Half    bool                // products in bf16 on the CPU: all of a network's until Halve says which
}

// Model answers queries with a Net on a Backend. It implements
// query.Differentiable.
type Model struct {
	net   *Net
	b     Backend
	loss  objective.Objective
	mask  bool
	exact bool                    // queries of the weights are answered by forward.Tangent
	noise noise.Source            // of what the host makes of the queries' directions
	host  []*guide                // its workers
	plan  *plan                   // of the last Clean
	reads map[string][]Activation // what the suffix of a set of sites reads
	pass  *pass                   // the last Clean whose store is there
	shown *forward.Batch          // whose images the backend has all, nil: others
	gave  *forward.Batch          // of which all that is kept was handed to the backend, nil: another

	differences bool // queries multiply in bf16 what their noise changed
	few         bool // they would, if an image had more of them

	queries []forward.Query // of a list, used again
	targets []int32
	coef    []float32
	seed    []float32   // a gradient at all rows of a block's output
	starts  [][]float32 // per image: what a forward begins with
	e       []float32   // E of some images of a site
}

// NewModel puts a network on the CPU.
func NewModel(n *Net, opt Options) *Model {
	if opt.Half {
		n.halve(func(site int) bool { return !n.sites[site].Output }, false)
	}
	return NewModelOn(newCPU(n, opt.Threads, opt.Noise), n, opt)
}

// NewModelOn puts a network on a backend, which was made for it and is closed
// with the model. The options' noise is that of the backend, made on the host.
func NewModelOn(b Backend, n *Net, opt Options) *Model {
	m := &Model{net: n, b: b, loss: opt.Loss, mask: opt.Mask, exact: opt.Exact, noise: opt.Noise,
		reads: map[string][]Activation{}}
	workers := opt.Threads
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	for range workers {
		m.host = append(m.host, &guide{})
	}
	return m
}

var (
	_ query.Differentiable = (*Model)(nil)
	_ forward.Resumable    = (*Model)(nil)
	_ forward.Known        = (*Model)(nil)
	_ forward.Anchored     = (*Model)(nil)
	_ forward.Summed       = (*Model)(nil)
)

// Params lists the parameters.
func (m *Model) Params() []*forward.Param { return m.net.params }

// Sites lists the linear maps whose output can be perturbed.
func (m *Model) Sites() []forward.Site { return m.net.sites }

// Known says that a site is the map to the outputs, and that the objective is
// differentiable by these.
func (m *Model) Known(site int) bool {
	_, ok := m.loss.(objective.Differentiable)
	return ok && m.net.sites[site].Output
}

// ForwardFLOPs is the cost of one clean forward of one image.
func (m *Model) ForwardFLOPs() int64 { return m.net.ForwardFLOPs() }

// BackwardFLOPs is the cost of the backward pass of one image for what is
// trained now.
func (m *Model) BackwardFLOPs() int64 { return m.net.BackwardFLOPs() }

// Touch tells the model that trained parameters changed.
func (m *Model) Touch() {
	m.b.Changed(m.where(func(p *forward.Param) bool { return p.Grad != nil }))
}

// Reload tells the model that any parameter may have changed.
func (m *Model) Reload() { m.b.Changed(m.where(func(*forward.Param) bool { return true })) }

// where lists the parameters that a condition holds for.
func (m *Model) where(is func(*forward.Param) bool) []int {
	var out []int
	for i, p := range m.net.params {
		if is(p) {
			out = append(out, i)
		}
	}
	return out
}

// TakesLevels says that batches may carry their images as bytes.
func (m *Model) TakesLevels() bool {
	b, ok := m.b.(interface{ TakesLevels() bool })
	return ok && b.TakesLevels()
}

// Device says in words where the model runs.
func (m *Model) Device() string { return m.b.Device() }

// Close gives the device's memory back.
func (m *Model) Close() error { return m.b.Close() }

// bind is the model's objective of a batch that fits the network, nil where the
// batch has no labels.
func (m *Model) bind(b *forward.Batch) (*objective.Bound, error) {
	chans, height, width := m.net.Arch.Input()
	have := len(b.Inputs)
	if b.Levels != nil && m.TakesLevels() {
		have = len(b.Levels.Data)
	}
	if want := b.Size * m.net.Pixels(); b.Size < 1 || have < want || b.Labels != nil && len(b.Labels) < b.Size {
		return nil, fmt.Errorf("vit: batch of %d images has %d values and %d labels, "+
			"the network wants %d values of %d×%d×%d", b.Size, have, len(b.Labels), want, chans, height, width)
	}
	if b.Labels == nil {
		return nil, nil
	}
	return objective.Bind(m.loss, b.Labels[:b.Size], b.Index, m.net.Arch.Outputs())
}

// labelled is bind of a batch that must have labels.
func (m *Model) labelled(b *forward.Batch) (*objective.Bound, error) {
	loss, err := m.bind(b)
	if err == nil && loss == nil {
		err = fmt.Errorf("vit: a batch without labels, which has no losses to learn from")
	}
	return loss, err
}

// lay makes room on the device; a pass whose store is gone is stale.
func (m *Model) lay(l Layout) (images int, err error) {
	images, moved, err := m.b.Lay(l)
	if moved || err != nil {
		m.pass, m.shown, m.gave = nil, nil, nil
	}
	return images, err
}

// list is a list of queries of a batch under its objective, which may be nil.
func (m *Model) list(q []forward.Query, loss *objective.Bound) *List {
	l := &List{Queries: q, Loss: loss}
	if loss != nil {
		m.targets = slices.Grow(m.targets[:0], len(q))[:len(q)]
		for i, x := range q {
			m.targets[i] = loss.Targets[x.Image]
		}
		l.Targets = m.targets
	}
	return l
}

// images is the list of n images without noise, each with a coefficient.
func (m *Model) images(n int, coef float32) ([]forward.Query, []float32) {
	m.queries, m.coef = slices.Grow(m.queries[:0], n)[:n], slices.Grow(m.coef[:0], n)[:n]
	for i := range n {
		m.queries[i], m.coef[i] = forward.Query{Image: int32(i)}, coef
	}
	return m.queries, m.coef
}

// ask runs a whole list by one graph.
func (m *Model) ask(ctx context.Context, l *List, f *Forward) error {
	if err := m.b.Begin(l); err != nil {
		return err
	}
	if err := m.b.Run(ctx, f, 0, len(l.Queries)); err != nil {
		return err
	}
	return m.b.End()
}
