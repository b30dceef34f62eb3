package allocator

func init() { Register("uniform", func(o Options) (Allocator, error) { return &uniform{o: o}, nil }) }

// uniform gives equal shares, the control for everything. What does not divide
// goes to one image after another, beginning at another one every step.
type uniform struct {
	stateless
	o Options
}

func (u *uniform) Name() string { return "uniform" }

func (u *uniform) Allocate(s Signals, budget int) ([]int, error) {
	return equal(len(s.Losses), s.Step, budget, u.o)
}

// equal are equal shares whose remainder begins at image step mod B.
func equal(B, step, budget int, o Options) ([]int, error) {
	n, err := Round(make([]float64, B), budget, o.MinQueries, o.Even)
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

func (stateless) Needs() Need { return Need{} }

func (stateless) Observe(Feedback) {}

func (stateless) State() ([]byte, error) { return nil, nil }

func (stateless) Restore([]byte) error { return nil }
