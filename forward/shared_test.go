package forward

import (
	"fmt"
	"testing"
)

// direct is a ladder whose layers are parameters that noise is added to themselves, two for
// each, of a number and of three.
type direct struct{ *ladder }

func (m direct) Sites() (out []Site) {
	for b := range m.layers {
		out = append(out, Site{Name: "norm", Weight: -1, Bias: -1, Out: ladderWidth, Direct: []int{2 * b, 2*b + 1}})
	}
	return out
}

// TestSharedByHand: of parameters that noise is added to themselves, each has the sum over
// items of its part of the gradient that byHand writes down, and learns as that does.
func TestSharedByHand(t *testing.T) {
	for _, o := range []LocalOptions{{Kappa: 1, Gain: 0.6, Scaled: true}, {Kappa: -1, Gain: 0.3, Weigh: true},
		{Kappa: 0, Gain: 0.3, Scaled: true, Options: Options{Antithetic: true}}} {
		m := direct{newLadder(2, 4, 1)}
		m.params = nil
		for k := range 4 {
			n := 1 + 2*(k%2)
			m.params = append(m.params, &Param{Data: make([]float32, n), Grad: make([]float32, n)})
		}
		h := &byHand{m: m.ladder, o: o, mo: make([]moment, 2)}
		o.Sigma, o.Noise, o.Sites = 0.5, m.src, []int{0, 1}
		e, err := Shared(m, o)
		if err != nil {
			t.Fatal(err)
		}
		f := drawnFeedback(t, e.Asker.(shared).f)
		for _, j := range f.j {
			h.j = append(h.j, doubles(j))
		}
		for step := range uint32(4) {
			s := &Step{Number: step, Counts: []int{2, 0, 4, 2}, Chance: []float32{0.5, 0.25, 1, 0.75}}
			clearGrads(m)
			if err := e.Learn(s, m.step(t, e, s)); err != nil {
				t.Fatal(err)
			}
			for b, at := range h.step(step, s.Counts, s.Chance) {
				sum := make([]float64, ladderWidth)
				for _, g := range at {
					for k, v := range g {
						sum[k] += v
					}
				}
				what := fmt.Sprintf("%+v, step %d, site %d", o, step, b)
				same(t, what, m.params[2*b].Grad, sum[:1])
				same(t, what, m.params[2*b+1].Grad, sum[1:])
				same(t, what+", Jacobian", f.j[b], h.j[b])
			}
		}
	}
}
