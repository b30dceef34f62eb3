package lr

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/forward"
)

// The differences are those of the losses, whatever the coefficients were
// divided by.
func TestDifferences(t *testing.T) {
	site := func(n int, sigma float32) forward.Perturbation {
		return forward.Perturbation{Sites: make([]int, n), Sigma: []float32{sigma, 2 * sigma}}
	}
	weights := forward.Perturbation{Kind: forward.Weights, Params: []int{0}, Sigma: []float32{0.5}}
	for name, c := range map[string]struct {
		r          forward.Record
		antithetic bool
		want       float64
	}{
		"pairs": {forward.Record{Perturbation: site(1, 0.25), Coefs: []float32{3, -4}}, true,
			math.Sqrt((1.5*1.5 + 2*2) / 2)},
		"single": {forward.Record{Perturbation: site(1, 0.25), Coefs: []float32{3, -4}}, false,
			math.Sqrt((0.75*0.75 + 1) / 2)},
		"weights": {forward.Record{Perturbation: weights, Coefs: []float32{3}}, true, 3},
		"joint pairs": {forward.Record{Perturbation: site(2, 0.25), Coefs: []float32{3, 1, 5, 5}}, true,
			math.Sqrt(2)},
		"joint single": {forward.Record{Perturbation: site(2, 0.25), Coefs: []float32{3, -4}}, false,
			math.Sqrt(12.5)},
		"nothing":        {forward.Record{Perturbation: site(1, 0.25)}, true, 0},
		"nothing joined": {forward.Record{Perturbation: site(2, 0.25)}, true, 0},
	} {
		if got := Differences(c.r, c.antithetic); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestRounding(t *testing.T) {
	for loss, want := range map[float64]float64{0: 0x1p-23, 1e-6: 0x1p-23, 1: 0x1p-23, 1.9: 0x1p-23, 2: 0x1p-22,
		-5: 0x1p-21, 1000: 0x1p-14} {
		if got := Rounding(loss); got != want {
			t.Errorf("at %v: %v, want %v", loss, got, want)
		}
	}
}
