package allocator

func init() { Register("uniform", func(o Options) (Allocator, error) { return &uniform{o: o}, nil }) }

// uniform gives equal shares, the control for everything. What does not divide
// goes to one image after another, beginning at another one every step.
type uniform struct{ o Options }

func (u *uniform) Name() string { return "uniform" }

func (u *uniform) Needs() Need { return Need{} }

func (u *uniform) Allocate(s Signals, budget int) ([]int, error) {
	return equal(len(s.Losses), s.Step, budget, u.o)
}

// equal are equal shares whose remainder begins at image step mod B.
func equal(B, step, budget int, o Options) ([]int, error) {
	shares := make([]float64, B)
	n, err := Round(shares, budget, o.MinQueries, o.Even)
	if err != nil {
		return nil, err
	}
	out := make([]int, B)
	for i := range n {
		out[(i+max(0, step))%B] = n[i]
	}
	return out, nil
}

func (u *uniform) Observe(Feedback) {}

func (u *uniform) State() ([]byte, error) { return nil, nil }

func (u *uniform) Restore([]byte) error { return nil }
