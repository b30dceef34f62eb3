package vit

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/noise"
)

// TestStraight: without a layer's own derivative its last map has the gradient that the
// derivative gives it through the row, the map before it that of a layer whose last map
// is 0, and no other parameter any.
func TestStraight(t *testing.T) {
	m, b, sites, p := layered(t, 3, 2)
	l, _ := m.Layer(sites[1])
	if len(l.Adds) != 2 {
		t.Fatalf("%d maps add to the row", len(l.Adds))
	}
	g := forward.LayerGradient{At: make([]float32, b.Size*l.Width)}
	r := noise.Rand(9, noise.Test)
	for i := range g.At {
		g.At[i] = float32(r.Normal())
	}
	adds := slices.Concat(l.Adds[0].Params, l.Adds[1].Params)
	layer := func(straight bool) [][]float32 {
		t.Helper()
		g.Straight = straight
		if err := p.AccumulateLayer(t.Context(), sites[1], g, adds, nil); err != nil {
			t.Fatal(err)
		}
		return gradients(m)
	}
	got, own := layer(true), layer(false)
	last := m.Params()[l.Adds[1].Params[0]]
	kept := slices.Clone(last.Data)
	clear(last.Data)
	m.Touch()
	zero := layer(false)
	copy(last.Data, kept)
	m.Touch()
	for i, x := range m.Params() {
		want := make([]float32, len(x.Data))
		switch {
		case slices.Contains(l.Adds[1].Params, i):
			want = own[i]
		case slices.Contains(l.Adds[0].Params, i):
			want = zero[i]
		}
		size := 0.0
		for k, w := range want {
			if size = max(size, math.Abs(float64(w))); math.Abs(float64(got[i][k]-w)) > 1e-5*(1+math.Abs(float64(w))) {
				t.Fatalf("%s[%d]: %v, want %v", x.Name, k, got[i][k], w)
			}
		}
		if some := strings.Contains(x.Name, "layer.1.") && strings.Contains(x.Name, "output.dense"); some != (size > 0) {
			t.Errorf("%s: a gradient of up to %v", x.Name, size)
		}
	}
}
