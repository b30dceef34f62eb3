package vit

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// wholeSlots is the number of images of one micro-batch of a whole forward: the
// activations of a block stay in a core's cache, and the rows fill the GEMM's
// tiles. It is fixed, so that results do not depend on the workers.
func (n *Net) wholeSlots() int { return min(16, max(1, 2*260/n.out.rows())) }

// Answer is a clean pass of n images before it has numbers; loss is nil where
// none is wanted.
func (n *Net) Answer(images int, loss *objective.Bound) *query.Clean {
	k, d := n.Arch.Outputs(), n.Features().Width
	c := &query.Clean{Logits: make([]float32, images*k), Classes: k, Features: make([]float32, images*d), Dim: d}
	if loss != nil {
		c.Losses, c.Loss = make([]float32, images), loss.Objective
	}
	return c
}

// gorgoniaNodes lists nodes that are not nil.
func gorgoniaNodes(n ...*gorgonia.Node) gorgonia.Nodes {
	return slices.DeleteFunc(n, func(n *gorgonia.Node) bool { return n == nil })
}

func values(n *gorgonia.Node) []float32 { return n.Value().(*tensor.Dense).Float32s() }

// wholeKey names a whole forward in a worker's cache.
func wholeKey(taps []string, split, full bool) string { return fmt.Sprint(taps, split, full) }

// wholeProgram is the whole forward with taps.
func (m *Model) wholeProgram(w *worker, k string, taps []string, split, full bool) (*program, error) {
	if p := w.whole[k]; p != nil {
		return p, nil
	}
	return pick(w.whole, k, func() (*program, error) {
		p := &program{graph: newGraph(m.net, m.net.wholeSlots())}
		p.split, p.full = split, full
		if err := p.network(nil); err != nil {
			return nil, err
		}
		return p.compile(append([]string{m.net.Features().Name}, taps...)...)
	})
}

// load puts images lo..hi-1 of a batch into the slots of a whole graph.
func (p *program) load(b *query.Batch, loss *objective.Bound, lo, hi int) {
	size := len(b.X) / b.N
	f := p.feed
	f.N = hi - lo
	copy(values(p.images), b.X[lo*size:hi*size])
	if loss != nil {
		copy(f.Target, loss.Targets[lo:hi])
	}
	for s := 0; s < f.N; s++ {
		f.Image[s] = int32(lo + s)
	}
}

// Evaluate is the forward of a batch: losses, logits and features.
func (m *Model) Evaluate(ctx context.Context, b *query.Batch) (*query.Clean, error) {
	loss, err := m.bind(b)
	if err != nil {
		return nil, err
	}
	return m.forward(ctx, b, loss, nil, false, false)
}

// pass is the clean pass of a batch, whose activations the model's store holds
// until the next.
type pass struct {
	m     *Model
	batch *query.Batch
	loss  *objective.Bound
	clean *query.Clean
}

// Clean is what the forward answered.
func (p *pass) Clean() *query.Clean { return p.clean }

// Clean is the forward of a batch that also keeps what the suffixes of the
// given sites start from, perturbed one by one or all at once.
func (m *Model) Clean(ctx context.Context, b *query.Batch, sites []int) (query.Pass, error) {
	loss, err := m.bind(b)
	if err == nil && loss == nil {
		err = fmt.Errorf("vit: a clean pass of a batch without labels")
	}
	if err != nil {
		return nil, err
	}
	m.pass = nil
	if b.N > m.net.store.images {
		m.net.store = &store{images: b.N, tensors: map[string]*stored{}}
		m.forget()
	}
	if !slices.Equal(sites, m.sites) || m.taps == nil {
		if err := m.plan(sites); err != nil {
			return nil, err
		}
	}
	split, full := m.net.Needs(sites, m.opt.Mask)
	c, err := m.forward(ctx, b, loss, m.taps, split, full)
	if err != nil {
		return nil, err
	}
	if err := loss.Anchor(c.Losses, c.Logits, c.Classes); err != nil {
		return nil, err
	}
	for _, s := range sites {
		in := m.net.SiteInput(s, m.opt.Mask)
		sq := make([]float32, b.N)
		for i := range sq {
			x := m.net.store.image(in.Name, i)
			sum := float64(in.Rows)
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			sq[i] = float32(sum)
		}
		c.InputSq = append(c.InputSq, sq)
	}
	m.pass = &pass{m, b, loss, c}
	return m.pass, nil
}

// forget drops every compiled graph, after the store they read moved.
func (m *Model) forget() {
	m.taps = nil
	for _, w := range m.workers {
		clear(w.whole)
		clear(w.suffixes)
	}
}

// plan finds what the clean pass must keep: what any suffix of these sites
// reads and the inputs of their linear maps.
func (m *Model) plan(sites []int) error {
	need := map[string]bool{}
	sets := [][]int{}
	for _, s := range sites {
		sets = append(sets, []int{s})
		in := m.net.SiteInput(s, m.opt.Mask)
		m.net.store.tensor(in.Name, in.Rows, in.Width)
		need[in.Name] = true
	}
	if len(sites) > 1 {
		sets = append(sets, sites)
	}
	for _, set := range sets {
		p, err := m.suffixProgram(m.workers[0], set, key(set))
		if err != nil {
			return err
		}
		for name := range p.cleans {
			need[name] = true
		}
	}
	if m.from = m.start(sites); m.from > 0 {
		h := m.net.out.boundaries[m.from-1]
		m.net.store.tensor(h.Name, h.Rows, h.Width)
		need[h.Name] = true
	}
	m.sites, m.taps = slices.Clone(sites), make([]string, 0, len(need))
	for name := range need {
		m.taps = append(m.taps, name)
	}
	slices.Sort(m.taps)
	return nil
}

func (m *Model) forward(ctx context.Context, b *query.Batch, loss *objective.Bound, taps []string, split, full bool) (*query.Clean, error) {
	slots, c := m.net.wholeSlots(), m.net.Answer(b.N, loss)
	k := wholeKey(taps, split, full)
	err := m.each(ctx, (b.N+slots-1)/slots, func(w *worker, i int) error {
		p, err := m.wholeProgram(w, k, taps, split, full)
		if err != nil {
			return err
		}
		lo, hi := i*slots, min(b.N, (i+1)*slots)
		p.load(b, loss, lo, hi)
		if err := p.run(loss); err != nil {
			return err
		}
		if loss != nil {
			copy(c.Losses[lo:hi], values(p.losses))
		}
		copy(c.Logits[lo*c.Classes:hi*c.Classes], values(p.logits))
		copy(c.Features[lo*c.Dim:hi*c.Dim], values(p.taps[m.net.Features().Name].node))
		for _, name := range taps {
			t := m.net.store.tensors[name]
			n := t.rows * t.width
			copy(t.data[lo*n:hi*n], values(p.taps[name].node))
		}
		return nil
	})
	return c, err
}
