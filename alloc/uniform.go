package alloc

// Uniform gives equal shares, the control for everything. What does not divide
// goes to one item after another, beginning at another one every step.
type Uniform struct {
	stateless
	limits Limits
}

// NewUniform makes one.
func NewUniform(l Limits) *Uniform { return &Uniform{limits: l} }

// Name implements Allocator.
func (u *Uniform) Name() string { return "uniform" }

// Allocate implements Allocator. Of the signals it counts the losses.
func (u *Uniform) Allocate(s Signals, budget int) ([]int, error) {
	return equal(len(s.Losses), s.Step, budget, u.limits)
}

// Shares implements Shared.
func (u *Uniform) Shares(s Signals) ([]float64, error) { return ones(len(s.Losses)), nil }

// ones are equal shares.
func ones(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

// equal are equal shares whose remainder begins at item step mod B.
func equal(B, step, budget int, l Limits) ([]int, error) {
	n, err := Round(make([]float64, B), budget, l)
	if err != nil {
		return nil, err
	}
	out := make([]int, B)
	for i := range n {
		out[(i+max(0, step)%B)%B] = n[i]
	}
	return out, nil
}

// stateless is the part of an allocator that learns nothing.
type stateless struct{}

// Needs implements Allocator: the losses are enough.
func (stateless) Needs() Need { return Need{} }

// Observe implements Allocator and learns nothing.
func (stateless) Observe(Feedback) {}

// State implements Allocator and is empty.
func (stateless) State() ([]byte, error) { return nil, nil }

// Restore implements Allocator and has nothing to restore.
func (stateless) Restore([]byte) error { return nil }
