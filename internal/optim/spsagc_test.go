package optim

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/forward"
)

// spsa_gc goes the paper's way, written with φ and m, on a quadratic whose gradient
// is asked at φ + βm; half of it goes through a checkpoint.
func TestSPSAGC(t *testing.T) {
	const beta, alpha, lr = 0.9, 0.4, 0.05
	phi, m := []float64{1, -2}, []float64{0, 0}
	p := &forward.Param{Name: "w", Data: []float32{1, -2}, Grad: make([]float32, 2)}
	o, err := New("spsa_gc", Options{})
	if err != nil {
		t.Fatal(err)
	}
	gradient := func(at []float64) []float64 { return []float64{3 * at[0], at[1] - 1} }
	for k := 1; k <= 20; k++ {
		at := []float64{phi[0] + beta*m[0], phi[1] + beta*m[1]}
		for i := range at {
			if math.Abs(at[i]-float64(p.Data[i])) > 1e-4 {
				t.Fatalf("step %d: weight %d is %v, want %v", k, i, p.Data[i], at[i])
			}
		}
		a := lr / math.Pow(float64(k), alpha)
		for i, g := range gradient(at) {
			m[i] = beta*m[i] - a*g
			phi[i] += m[i]
		}
		for i, g := range gradient([]float64{float64(p.Data[0]), float64(p.Data[1])}) {
			p.Grad[i] = float32(g)
		}
		o.Step([]*forward.Param{p}, lr)
		if k == 10 {
			kept := o.State()
			if o, err = New("spsa_gc", Options{}); err != nil {
				t.Fatal(err)
			}
			if err := o.Restore(kept); err != nil {
				t.Fatal(err)
			}
		}
	}
}
