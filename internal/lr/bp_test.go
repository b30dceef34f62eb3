package lr

import (
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/query"
)

// callable is a model that cannot be differentiated.
type callable struct{ query.Model }

// TestBackpropagation: the yardstick's gradient is that of finite differences,
// along itself and along a random direction, and a step is charged a backward pass
// of every image. Its forward is the clean pass, charged by whoever runs it.
func TestBackpropagation(t *testing.T) {
	m, b, _ := tiny(t, true)
	var all []int
	for i := range m.Params() {
		all = append(all, i)
	}
	e, err := New("bp", m, Options{Params: all})
	if err != nil {
		t.Fatal(err)
	}
	us := directions(t, m, b, all)
	clearGrads(m)
	c, params, cost, err := e.(Differentiator).Gradient(t.Context(), m, b)
	if err != nil {
		t.Fatal(err)
	}
	if cost.FLOPs != 4*m.BackwardFLOPs() || cost.FLOPs <= 0 || cost.Queries != 0 || !slices.Equal(params,
		all) || len(c.Losses) != 4 || len(Plan(e, 0)) != 0 {
		t.Errorf("%d operations, %d queries, %d parameters, plan %v", cost.FLOPs, cost.Queries, len(params), Plan(e, 0))
	}
	if _, asks := e.(Asker); asks {
		t.Error("backpropagation asks queries")
	}
	for k, u := range us { // a difference of h = 2e-3 in float32 losses is good to some 1e-3
		if got, want := project(m, all, u), slope(t, m, b, all, u); math.Abs(got-want) > 5e-3*(1+math.Abs(want)) {
			t.Errorf("direction %d: %.5g, finite difference %.5g", k, got, want)
		}
	}
	if _, err := New("bp", callable{m}, Options{}); err == nil {
		t.Error("a model that cannot be differentiated was accepted")
	}
}
