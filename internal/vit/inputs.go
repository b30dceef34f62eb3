package vit

import (
	"slices"

	"github.com/flops-vit/flops/forward"
)

// Input is what the map of a site reads, alike for maps that read the same: its rows that
// reach the loss under the structural mask, else all.
func (m *Model) Input(site int) Activation { return m.net.SiteInput(site, m.mask) }

// Inputs are its numbers in the last clean pass, images×Rows×Width, which last until the
// next. The site is one that was named to the pass.
func (m *Model) Inputs(site int) ([]float32, error) {
	if m.pass == nil || !slices.Contains(m.pass.plan.sites, site) {
		return nil, forward.ErrStale
	}
	return m.b.Stored(m.Input(site), m.pass.batch.Size, nil)
}
