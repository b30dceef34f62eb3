package vit

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/objective"
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
	if err := m.check(b); err != nil {
		return nil, err
	}
	slots, c := m.net.wholeSlots(), m.net.Answer(b.N)
	coupled, err := m.couple(ctx, b, c)
	if err != nil {
		return nil, err
	}
	turn := newTurnstile()
	err = m.each(ctx, (b.N+slots-1)/slots, func(w *worker, i int) error {
		defer turn.leave(i)
		p, err := m.gradProgram(w)
		if err != nil {
			return err
		}
		lo, hi := i*slots, min(b.N, (i+1)*slots)
		p.load(b, lo, hi)
		for s := range p.seed {
			p.seed[s] = 1 / float32(b.N)
		}
		if err := p.run(m.opt.Loss); err != nil {
			return err
		}
		if !coupled {
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

// couple prepares an objective that couples the images of a batch, and says
// whether it is one: a forward fixes the clean outputs, and their losses go to c.
func (m *Model) couple(ctx context.Context, b *query.Batch, c *query.Clean) (bool, error) {
	co, ok := m.opt.Loss.(objective.Coupled)
	if !ok {
		return false, nil
	}
	clean, err := m.Evaluate(ctx, b)
	if err != nil {
		return true, err
	}
	return true, co.Anchor(c.Losses, clean.Logits, clean.Classes)
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
