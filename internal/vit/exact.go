package vit

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
)

var _ forward.Exact = (*pass)(nil)

// AccumulateOutputs adds the gradient by the map to the outputs, of which the clean
// pass has both factors: the derivative of each loss by its logits, and the map's
// input.
func (p *pass) AccumulateOutputs(ctx context.Context, site int) error {
	m := p.m
	if err := p.usable(&forward.Perturbation{Sites: []int{site}}); err != nil {
		return err
	}
	if !m.Known(site) {
		return fmt.Errorf("vit: the gradient at %s is not known without queries", m.net.sites[site].Name)
	}
	e, err := p.clean.OutputGradient(1)
	if err != nil {
		return err
	}
	mean := 1 / float32(p.batch.Size)
	for i := range e { // as backpropagation weighs the losses
		e[i] *= mean
	}
	return m.collect(m.net.sites[site].Params(), m.b.SumRows(ctx, site, m.net.SiteInput(site, m.mask), 0, e))
}
