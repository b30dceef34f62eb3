package train

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/internal/vit"
)

// TestInHalf: what bf16 is said to save follows from where it is used.
func TestInHalf(t *testing.T) {
	below := vit.Halved{FLOPs: 80, OfFLOPs: 100}
	all := vit.Halved{FLOPs: 100, OfFLOPs: 100, Differences: true}
	for _, c := range []struct {
		name                                          string
		r                                             vit.Halved
		clean, rounded, queries, perImage, gain, want float64
	}{
		{"nothing is faster", below, 100, 80, 50, 2, 1, 150},
		{"the prefix alone", below, 100, 80, 50, 2, 4, 100 - 0.6*80 + 50},
		{"a prefix that is kept", below, 20, 0, 50, 2, 4, 70},
		{"differences of one query", all, 100, 100, 1000, 1, 4, 40 + 2000*0.4},
		{"differences of many", all, 100, 100, 1000, 10, 4, 40 + 1100*0.4},
	} {
		if got := inHalf(c.r, c.clean, c.rounded, c.queries, c.perImage, c.gain); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %g, want %g", c.name, got, c.want)
		}
	}
}
