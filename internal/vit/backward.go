package vit

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/query"
	"gorgonia.org/gorgonia"
)

// gradProgram is the whole forward with its gradient by the trained parameters.
type gradProgram struct {
	*program
	seed   []float32      // per slot: weight of its loss
	grads  gorgonia.Nodes // parallel to params
	params []*query.Param
}

// Backward adds the gradient of the batch's mean loss to every trained
// parameter, by Gorgonia's differentiation of the same graph.
func (m *Model) Backward(ctx context.Context, b *query.Batch) (*query.Clean, error) {
	loss, err := m.bind(b)
	if err == nil && loss == nil {
		err = fmt.Errorf("vit: a gradient of a batch without labels")
	}
	if err != nil {
		return nil, err
	}
	slots, c := m.net.wholeSlots(), m.net.Answer(b.N, loss)
	if loss.Coupled() {
		clean, err := m.forward(ctx, b, loss, nil, false, false)
		if err != nil {
			return nil, err
		}
		if err := loss.Anchor(c.Losses, clean.Logits, clean.Classes); err != nil {
			return nil, err
		}
	}
	turn := newTurnstile()
	err = m.each(ctx, (b.N+slots-1)/slots, func(w *worker, i int) error {
		defer turn.leave(i)
		p, err := m.gradProgram(w)
		if err != nil {
			return err
		}
		lo, hi := i*slots, min(b.N, (i+1)*slots)
		p.load(b, loss, lo, hi)
		for s := range p.seed {
			p.seed[s] = 1 / float32(b.N)
		}
		if err := p.run(loss); err != nil {
			return err
		}
		if !loss.Coupled() {
			copy(c.Losses[lo:hi], values(p.losses))
		}
		copy(c.Logits[lo*c.Classes:hi*c.Classes], values(p.logits))
		copy(c.Features[lo*c.Dim:hi*c.Dim], values(p.taps[m.net.Features().Name].node))
		turn.enter(i)
		for j, g := range p.grads {
			kernel.AddTo(p.params[j].Grad, values(g))
		}
		return nil
	})
	return c, err
}

// gradProgram is the worker's gradient graph for the parameters trained now.
func (m *Model) gradProgram(w *worker) (*gradProgram, error) {
	trained := m.trained()
	if w.grad != nil && sameParams(w.grad.params, trained) {
		return w.grad, nil
	}
	gp := &gradProgram{params: trained}
	p, err := guard(func() (*program, error) {
		p := &program{graph: newGraph(m.net, m.net.wholeSlots())}
		p.split = true
		if err := p.network(nil); err != nil {
			return nil, err
		}
		gp.seed = make([]float32, p.slots)
		seed := p.input("seed", gp.seed, p.slots)
		var wrt gorgonia.Nodes
		for _, t := range trained {
			wrt = append(wrt, p.param(t))
		}
		grads, err := gorgonia.Backpropagate(gorgonia.Nodes{p.losses}, gorgonia.Nodes{seed}, wrt)
		if err != nil {
			return nil, fmt.Errorf("vit: differentiate: %w", err)
		}
		gp.grads = grads
		p.m, err = NewMachine(p.g, append(gorgonia.Nodes{p.losses, p.logits, p.taps[m.net.Features().Name].node}, grads...)...)
		return p, err
	})
	if err != nil {
		return nil, err
	}
	gp.program = p
	w.grad = gp
	return gp, nil
}

// trained lists the parameters that have a gradient.
func (m *Model) trained() []*query.Param {
	var t []*query.Param
	for _, p := range m.net.params {
		if p.Grad != nil && p.Role != "temperature" {
			t = append(t, p)
		}
	}
	return t
}

func sameParams(a, b []*query.Param) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
