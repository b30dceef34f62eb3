package lr

import (
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
)

// TestStepOfBothKinds: a step is taken the same way whether its estimator asks
// queries or hands over a gradient; applied again from its records, it gives the
// same gradient bit for bit; and what does neither is refused.
func TestStepOfBothKinds(t *testing.T) {
	m, b, _ := tiny(t, true)
	var all []int
	for i := range m.Params() {
		all = append(all, i)
	}
	for _, name := range []string{"bp", "weight"} {
		e, err := New(name, m, Options{Params: all, Antithetic: true, Sigma: 0.01})
		if err != nil {
			t.Fatal(err)
		}
		var records []forward.Record
		take := func(again bool) []float32 {
			clearGrads(m)
			s, err := Prepare(t.Context(), m, e, 3, b)
			if err != nil {
				t.Fatal(err)
			}
			if s.Asks(e) != (name == "weight") || len(s.Clean.Losses) != b.Size {
				t.Fatalf("%s: asks %v, %d losses", name, s.Asks(e), len(s.Clean.Losses))
			}
			if s.Asks(e) {
				s.Counts = slices.Repeat([]int{2}, b.Size)
			}
			if !again {
				r, err := Ask(t.Context(), m, e, s)
				if err != nil {
					t.Fatal(err)
				}
				if r.FLOPs <= 0 || (r.Queries > 0) != s.Asks(e) {
					t.Errorf("%s: %d operations, %d queries", name, r.FLOPs, r.Queries)
				}
				records = r.Records
			}
			params, err := Apply(t.Context(), m, e, s, records)
			if err != nil || !slices.Equal(slices.Sorted(slices.Values(params)), all) {
				t.Fatalf("%s: gradients of %v, %v", name, params, err)
			}
			var g []float32
			for _, p := range m.Params() {
				g = append(g, p.Grad...)
			}
			return g
		}
		first := take(false)
		if !slices.ContainsFunc(first, func(g float32) bool { return g != 0 }) || !slices.Equal(first, take(true)) {
			t.Errorf("%s: the gradient is 0, or another one when it is applied again", name)
		}
	}
	if _, err := Prepare(t.Context(), m, struct{ Estimator }{&bp{}}, 0, b); err == nil {
		t.Error("an estimator that makes no gradient began a step")
	}
}
