package vit

import (
	"context"
	"slices"

	"github.com/flops-vit/flops/forward"
)

// Prefix is the part of a network below everything that is trained, which makes
// of an image the same at every visit.
type Prefix struct {
	Activation       // what comes out of it, and forward.Memory keeps
	Params     []int // that it is made of
	FLOPs      int64 // floating-point operations of an image
	boundary   int
}

// Prefix is that of what is trained now; nil where the lowest of it is part of
// what goes into the first block, or nothing is trained.
func (m *Model) Prefix() *Prefix {
	o := m.net.out
	b := o.resume(m.trained())
	if b == 0 {
		return nil
	}
	p := &Prefix{Activation: o.boundaries[b-1], FLOPs: o.from(0) - o.from(b), boundary: b}
	for _, s := range o.steps[:o.at[b-1]] {
		for _, i := range s.uses {
			if !slices.Contains(p.Params, i) {
				p.Params = append(p.Params, i)
			}
		}
	}
	slices.Sort(p.Params)
	return p
}

// known is the boundary that a forward of a batch can begin at because of what its
// memory keeps, 0 where there is none. Queries at sites below what is trained have
// none.
func (m *Model) known(b *forward.Batch, sites []int) int {
	if b.Memory == nil {
		return 0
	}
	params := m.trained()
	from := m.net.out.resume(params)
	for _, s := range sites {
		params = append(params, m.net.sites[s].Params()...)
	}
	if m.net.out.resume(params) < from {
		return 0
	}
	return from
}

// given is a forward as it is where the memory of the batch keeps the boundary;
// keep says that the store has to hold the boundary's activation too.
func (m *Model) given(f Forward, known int) (g Forward, keep bool) {
	if known == 0 {
		return f, false
	}
	x := m.net.Boundary(known).Name
	keep = slices.Contains(f.Keep, x)
	f.Keep = slices.DeleteFunc(slices.Clone(f.Keep), func(name string) bool { return name == x })
	f.From, f.Given = known, true
	return f, keep
}

// room is what a layout needs besides for forwards that begin at a boundary which
// a memory keeps.
func (m *Model) room(l Layout, known int) Layout {
	if known == 0 {
		return l
	}
	x := m.net.Boundary(known)
	if l.Pass = true; !slices.Contains(l.Keep, x) {
		l.Keep, l.Forward.Keep = append(slices.Clone(l.Keep), x), append(slices.Clone(l.Forward.Keep), x.Name)
	}
	return l
}

// give hands the backend what n images of a batch from lo on begin with: what the
// memory keeps of them, and of the others what is made now.
func (m *Model) give(ctx context.Context, b *forward.Batch, lo, n, known int, keep bool) (err error) {
	x := m.net.Boundary(known)
	same := m.pass != nil && m.pass.batch == b && n == b.Size
	if m.pass != nil && m.pass.plan.start && !same { // the store is about to hold another batch's
		m.pass = nil
	}
	m.starts = slices.Grow(m.starts[:0], n)[:n]
	var missing []int
	for i := range n {
		if m.starts[i], err = b.Memory.Recall(lo + i); err != nil {
			return err
		}
		if m.starts[i] == nil {
			missing = append(missing, lo+i)
		}
	}
	if m.shown, m.gave = nil, nil; n == b.Size {
		m.gave = b
	}
	if err := m.learn(ctx, b, lo, n, x, missing); err != nil {
		return err
	}
	return m.b.Give(x, m.starts, keep)
}

// learn makes what the missing ones of n images from lo on begin with, and has the
// memory keep it.
func (m *Model) learn(ctx context.Context, b *forward.Batch, lo, n int, x Activation, missing []int) error {
	if len(missing) == 0 {
		return nil
	}
	if err := b.Memory.Fill(missing); err != nil {
		return err
	}
	m.b.Show(b, lo, n)
	m.queries = m.queries[:0]
	for _, i := range missing {
		m.queries = append(m.queries, forward.Query{Image: int32(i - lo)})
	}
	if err := m.ask(ctx, &List{Queries: m.queries}, &Forward{Keep: []string{x.Name}, Only: true}); err != nil {
		return err
	}
	size := x.Rows * x.Width
	made := make([]float32, len(missing)*size)
	for k, i := range missing {
		one := made[k*size : (k+1)*size]
		if err := m.b.Read(x, i-lo, one); err != nil {
			return err
		}
		if err := b.Memory.Keep(i, one); err != nil {
			return err
		}
		m.starts[i-lo] = one
	}
	return nil
}

// fill makes sure that the images of a batch are there.
func fill(b *forward.Batch) error {
	if b.Memory == nil {
		return nil
	}
	return b.Memory.Fill(nil)
}
