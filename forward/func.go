package forward

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/noise"
)

// Losses is a model that can only be called: it writes to losses[k] the loss of item
// items[k] at the parameters theta. It must not keep or change theta and items, which
// name the items of the batch by Batch.Index, or by their slots where there is none,
// and must answer alike when it is asked again.
type Losses func(ctx context.Context, theta []float32, items []int32, losses []float32) error

// PerItem makes Losses of a function that returns the loss of one item.
func PerItem(loss func(theta []float32, item int) float32) Losses {
	return func(ctx context.Context, theta []float32, items []int32, losses []float32) error {
		for k, i := range items {
			if err := ctx.Err(); err != nil {
				return err
			}
			losses[k] = loss(theta, int(i))
		}
		return nil
	}
}

// Func is a Model of a function. It has one parameter, theta, and no sites: its
// estimator is Weight. It is not for concurrent use; the function is called from one
// goroutine and may share its items among more.
type Func struct {
	theta *Param
	f     Losses
	src   noise.Source
	pass  *funcPass
}

// NewFunc makes a model of f, whose parameters are theta and whose directions come
// from src. The caller changes theta in place between steps. A source whose
// directions are too short for theta is an *OptionError.
func NewFunc(theta []float32, src noise.Source, f Losses) (*Func, error) {
	if most := noise.MaxDim(src); most > 0 && len(theta) > most {
		return nil, &OptionError{"Noise", fmt.Sprintf("directions of %s have at most %d elements", src.Name(), most),
			"use noise.Gaussian or noise.Rademacher", nil}
	}
	p := &Param{Name: "theta", Shape: []int{len(theta)}, Data: theta, Grad: make([]float32, len(theta)), Block: -1}
	return &Func{theta: p, f: f, src: src}, nil
}

// Params implements Model: theta alone.
func (m *Func) Params() []*Param { return []*Param{m.theta} }

// Sites implements Model: there are none.
func (m *Func) Sites() []Site { return nil }

// Gradient is that of the last Step, for the caller to take off theta.
func (m *Func) Gradient() []float32 { return m.theta.Grad }

// Clean implements Model.
func (m *Func) Clean(ctx context.Context, b *Batch, sites []int) (Pass, error) {
	if len(sites) > 0 {
		return nil, &OptionError{"Sites", fmt.Sprint(sites), "a Func has none: use Weight", nil}
	}
	p := &funcPass{m: m, items: b.Index, clean: &Clean{Losses: make([]float32, b.Size)},
		moved: make([]float32, len(m.theta.Data))}
	if p.items == nil {
		for i := range b.Size {
			p.items = append(p.items, int32(i))
		}
	}
	if len(p.items) != b.Size {
		return nil, &OptionError{"Index", fmt.Sprintf("%d entries for %d items", len(p.items), b.Size),
			"give every item of the batch its number, or none", nil}
	}
	if err := m.f(ctx, m.theta.Data, p.items, p.clean.Losses); err != nil {
		return nil, err
	}
	m.pass = p
	return p, nil
}

// funcPass is the clean pass of a Func.
type funcPass struct {
	m      *Func
	items  []int32
	clean  *Clean
	moved  []float32 // theta with noise
	asked  []int32   // items of one call
	losses []float32 // and what they answer
}

// Clean implements Pass.
func (p *funcPass) Clean() *Clean { return p.clean }

// Losses implements Evaluator. Items that take part in the same direction are asked
// in one call. Theta itself is never changed.
func (p *funcPass) Losses(ctx context.Context, per *Perturbation, q []Query, out []float32) error {
	if p.m.pass != p {
		return ErrStale
	}
	order := make([]int, len(q)) // by direction
	for j := range order {
		order[j] = j
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if q[a].Pair != q[b].Pair {
			return int(q[a].Pair) - int(q[b].Pair)
		}
		return int(q[b].Sign) - int(q[a].Sign)
	})
	for len(order) > 0 {
		first, n := q[order[0]], 1
		for n < len(order) && q[order[n]].Pair == first.Pair && q[order[n]].Sign == first.Sign {
			n++
		}
		p.asked = p.asked[:0]
		for _, j := range order[:n] {
			p.asked = append(p.asked, p.items[q[j].Image])
		}
		p.losses = slices.Grow(p.losses[:0], n)[:n]
		p.m.src.AddScaled(p.moved, p.m.theta.Data, float32(first.Sign)*per.Sigma[0], counter(per, first.Pair), 0)
		if err := p.m.f(ctx, p.moved, p.asked, p.losses); err != nil {
			return err
		}
		for k, j := range order[:n] {
			out[j] = p.losses[k]
		}
		order = order[n:]
	}
	return nil
}

// Accumulate implements Pass.
func (p *funcPass) Accumulate(_ context.Context, per *Perturbation, terms []Term) error {
	if p.m.pass != p {
		return ErrStale
	}
	for _, t := range terms {
		p.m.src.Axpy(p.m.theta.Grad, t.Coef, counter(per, t.Pair), 0)
	}
	return nil
}

// counter names a direction of theta.
func counter(per *Perturbation, pair int32) noise.Counter {
	return noise.Counter{Step: per.Step, Site: WeightSite, Pair: uint32(pair)}
}
