package vit

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/noise"
)

// Options of a Model.
type Options struct {
	Threads int                 // workers; 0: every core
	Noise   noise.Source        // the directions of the queries
	Loss    objective.Objective // what a query answers
	Mask    bool                // structural mask of the gradients (DESIGN 3.1)
}

// Model answers queries with a Net on the CPU. It implements
// query.Differentiable. Workers have graphs and machines of their own and share
// the weights and the clean activations; every number is the same for any
// number of workers, because work is cut into pieces of a fixed size, rows do
// not depend on their neighbours, and sums have a fixed order.
type Model struct {
	net     *Net
	opt     Options
	workers []*worker
	saved   [][]float32 // originals of perturbed weights
	sites   []int       // perturbed at the last Clean
	taps    []string    // what the clean pass keeps
	from    int         // boundary at which the clean pass lets queries of the weights start
	pass    *pass       // the last Clean
	errs    []error
	terms   scratchE
}

// worker is one goroutine's graphs.
type worker struct {
	whole    map[string]*program
	suffixes map[string]*program
	grad     *gradProgram
	gemm     kernel.Scratch
	bufs     [2][]float32
}

// buf is the i-th workspace, at least n long.
func (w *worker) buf(i, n int) []float32 {
	if cap(w.bufs[i]) < n {
		w.bufs[i] = make([]float32, n)
	}
	return w.bufs[i][:n]
}

// program is a compiled graph.
type program struct {
	*graph
	m *Machine
}

// NewModel makes the workers of a network.
func NewModel(n *Net, opt Options) *Model {
	if opt.Threads <= 0 {
		opt.Threads = runtime.GOMAXPROCS(0)
	}
	m := &Model{net: n, opt: opt, saved: make([][]float32, len(n.params))}
	for i := 0; i < opt.Threads; i++ {
		m.workers = append(m.workers, &worker{whole: map[string]*program{}, suffixes: map[string]*program{}})
	}
	return m
}

var _ query.Differentiable = (*Model)(nil)

// Params lists the parameters.
func (m *Model) Params() []*query.Param { return m.net.params }

// Sites lists the linear maps whose output can be perturbed.
func (m *Model) Sites() []query.Site { return m.net.sites }

// Threads is the number of workers.
func (m *Model) Threads() int { return len(m.workers) }

// ForwardFLOPs is the cost of one clean forward of one image.
func (m *Model) ForwardFLOPs() int64 { return m.net.ForwardFLOPs() }

// BackwardFLOPs is the cost of the backward pass of one image for what is
// trained now.
func (m *Model) BackwardFLOPs() int64 { return m.net.BackwardFLOPs() }

// Touch tells the model that trained parameters changed.
func (m *Model) Touch() { m.net.touch(false) }

// Reload tells the model that any parameter may have changed.
func (m *Model) Reload() { m.net.touch(true) }

// Device is the processor.
func (m *Model) Device() string { return "cpu" }

// Close gives the machines' memory back.
func (m *Model) Close() error { m.workers = nil; return nil }

// each runs f for 0..n-1 on the workers and returns the first error by index.
func (m *Model) each(ctx context.Context, n int, f func(w *worker, i int) error) error {
	if cap(m.errs) < n {
		m.errs = make([]error, n)
	}
	errs := m.errs[:n]
	clear(errs)
	kernel.Parallel(min(len(m.workers), n), n, func(k, i int) {
		if errs[i] = ctx.Err(); errs[i] == nil {
			errs[i] = f(m.workers[k], i)
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// check refuses a batch that does not fit the network.
func (m *Model) check(b *query.Batch) error {
	chans, side := m.net.Arch.Input()
	if want := b.N * chans * side * side; len(b.X) < want || b.Labels != nil && len(b.Labels) < b.N {
		return fmt.Errorf("vit: batch of %d images has %d values and %d labels, the network wants %d values of %d×%d×%d",
			b.N, len(b.X), len(b.Labels), want, chans, side, side)
	}
	return nil
}

// bind is the model's objective of a batch that fits the network, nil where the
// batch has no labels.
func (m *Model) bind(b *query.Batch) (*objective.Bound, error) {
	if err := m.check(b); err != nil || b.Labels == nil {
		return nil, err
	}
	return objective.Bind(m.opt.Loss, b.Labels[:b.N], b.Index, m.net.Arch.Outputs())
}

// pick is the program of a key, built the first time a worker needs it.
func pick(have map[string]*program, key string, build func() (*program, error)) (*program, error) {
	if p, ok := have[key]; ok {
		return p, nil
	}
	p, err := guard(build)
	if err == nil {
		have[key] = p
	}
	return p, err
}

// guard turns a panic of Gorgonia's into an error.
func guard(build func() (*program, error)) (p *program, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("vit: gorgonia: %v", r)
		}
	}()
	return build()
}

// run evaluates a program with an objective of the batch, nil: none.
func (p *program) run(o *objective.Bound) error {
	p.feed.Loss, p.feed.err = o, nil
	if err := p.m.RunAll(); err != nil {
		return err
	}
	return p.feed.err
}

func (p *program) compile(keep ...string) (*program, error) {
	nodes := gorgoniaNodes(p.losses, p.logits)
	for _, k := range keep {
		a, ok := p.taps[k]
		if !ok {
			return nil, fmt.Errorf("vit: no activation %s", k)
		}
		nodes = append(nodes, a.node)
	}
	var err error
	p.m, err = NewMachine(p.g, nodes...)
	return p, err
}

// keys of one noisy set, for the program cache.
func key(sites []int) string { return fmt.Sprint(sites) }

func noiseSet(sites []int) map[int]bool {
	s := map[int]bool{}
	for _, i := range sites {
		s[i] = true
	}
	return s
}

func hasSite(sites []int, s int) bool { return slices.Contains(sites, s) }
