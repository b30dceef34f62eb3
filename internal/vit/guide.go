package vit

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
)

var _ forward.Guided = (*pass)(nil)

// guideValues is the most values of E that the host makes at a time.
const guideValues = 1 << 22

// guide is one worker's memory for predicted gradients.
type guide struct {
	attn          kernel.AttentionScratch
	probs, out    []float32
	rows, row     []float32
	dq, dk, dv    []float32
	hat, eps, raw []float32
}

// Guider is a Backend that makes what is predicted where it computes.
type Guider interface {
	// SumGuided adds Σ_i E_iᵀ x_i of a site with E_i = ĝ_i/B + w_i Σ_p r_ip ε_ip to the
	// sums of the site's parameters, as AccumulateGuided describes, for the first
	// images of the store, and fills what the queries left of g.
	SumGuided(ctx context.Context, site int, x Activation, l *Link, images int, step uint32, g *forward.Guess) error
}

// AccumulateGuided makes E_i = ĝ_i/B + w_i Σ_p r_ip ε_ip from the activations that the
// clean pass stored, on the host where the backend does not, which then sums E_iᵀ x_i.
func (p *pass) AccumulateGuided(ctx context.Context, t *forward.Perturbation, g *forward.Guess) error {
	if err := p.usable(t); err != nil {
		return err
	}
	m, site := p.m, t.Sites[0]
	if _, ok := m.Anchor(site); !ok || len(t.Sites) != 1 {
		return fmt.Errorf("vit: the gradient at %s is not predicted", m.net.sites[site].Name)
	}
	x := m.net.SiteInput(site, m.mask)
	if d, ok := m.b.(Guider); ok && m.net.out.links[site].Runs.rows() == 1 && g.Withheld == 0 &&
		g.Changes == nil {
		err := d.SumGuided(ctx, site, x, &m.net.out.links[site], p.batch.Size, t.Step, g)
		return m.collect(m.net.sites[site].Params(), err)
	}
	c, err := p.carrier(site, t.Step, g)
	if err != nil {
		return err
	}
	n := x.Rows * m.net.sites[site].Out
	some := max(1, guideValues/n)
	m.e = sized(m.e, min(some, p.batch.Size)*n)
	direct := len(m.net.sites[site].Direct) > 0
	e := m.e
	err = func() error {
		for lo := 0; lo < p.batch.Size; lo += some {
			images := min(some, p.batch.Size-lo)
			kernel.Parallel(len(m.host), images, func(w, i int) { c.image(m.host[w], lo+i, e[i*n:(i+1)*n]) })
			if err := ctx.Err(); err != nil {
				return err
			}
			if direct {
				for i := range images {
					m.addDirect(site, 1, e[i*n:(i+1)*n])
				}
				continue
			}
			if err := m.b.SumRows(ctx, site, x, lo, e[:images*n]); err != nil {
				return err
			}
		}
		return nil
	}()
	c.mean()
	return m.collect(m.net.sites[site].Params(), err)
}

// sized is a workspace of n values.
func sized(v []float32, n int) []float32 {
	if cap(v) < n {
		return make([]float32, n)
	}
	return v[:n]
}
