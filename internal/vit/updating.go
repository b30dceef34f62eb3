package vit

import "github.com/flops-vit/flops/internal/query"

// Updater is a Backend that keeps gradients and takes an optimizer's steps: see
// query.Updating, whose methods these are.
type Updater interface {
	Hold(kind string, kept int) bool
	Release() error
	Forget()
	Squares(params []int) ([]float64, error)
	Update(rules []query.Rule, scale float32) (sound bool, err error)
	Fetch() error
}

var _ query.Updating = (*Model)(nil)

// Hold implements query.Updating; the other methods may be called where it is true.
func (m *Model) Hold(kind string, kept int) bool {
	d, ok := m.b.(Updater)
	return ok && d.Hold(kind, kept)
}

func (m *Model) updater() Updater { return m.b.(Updater) }

// Release implements query.Updating.
func (m *Model) Release() error { return m.updater().Release() }

// Forget implements query.Updating.
func (m *Model) Forget() { m.updater().Forget() }

// Squares implements query.Updating.
func (m *Model) Squares(params []int) ([]float64, error) { return m.updater().Squares(params) }

// Update implements query.Updating.
func (m *Model) Update(rules []query.Rule, scale float32) (sound bool, err error) {
	return m.updater().Update(rules, scale)
}

// Fetch implements query.Updating.
func (m *Model) Fetch() error { return m.updater().Fetch() }
