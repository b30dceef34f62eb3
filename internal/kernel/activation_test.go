package kernel

import (
	"math"
	"testing"
)

// The logistic activation functions and their derivatives are those of their
// definitions in float64, in place too.
func TestLogistic(t *testing.T) {
	tanhGELU := func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}
	for name, c := range map[string]struct {
		l    Logistic
		want func(x float64) float64
	}{
		"silu":       {SiLU, func(x float64) float64 { return x / (1 + math.Exp(-x)) }},
		"quick_gelu": {QuickGELU, func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) }},
		"gelu_tanh":  {TanhGELU, tanhGELU},
	} {
		var x []float32
		for v := -30.0; v <= 30; v += 0.0137 {
			x = append(x, float32(v))
		}
		x = append(x, 0, -1e4, 1e4, -3e38, 3e38)
		y, g, one := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
		for i := range one {
			one[i] = 2
		}
		c.l.Apply(y, x)
		c.l.Grad(g, x, one)
		for i, v := range x {
			want := c.want(float64(v))
			if math.Abs(float64(y[i])-want) > 1e-6*math.Abs(float64(v)) {
				t.Errorf("%s(%v) is %v, want %v", name, v, y[i], want)
			}
			if math.Abs(float64(v)) > 20 {
				continue
			}
			const h = 1e-4 // central differences in float64: error below 1e-7
			slope := (c.want(float64(v)+h) - c.want(float64(v)-h)) / h
			if math.Abs(float64(g[i])-slope) > 1e-5 {
				t.Errorf("%s'(%v)·2 is %v, want %v", name, v, g[i], slope)
			}
		}
		c.l.Apply(x, x)
		for i := range x {
			if math.Float32bits(x[i]) != math.Float32bits(y[i]) {
				t.Fatalf("%s in place differs at %d", name, i)
			}
		}
	}
}

func TestReLU(t *testing.T) {
	x, dy := []float32{-1, 0, 2}, []float32{3, 4, 5}
	y, g := make([]float32, 3), make([]float32, 3)
	ReLU(y, x)
	ReLUGrad(g, x, dy)
	for i, want := range [][2]float32{{0, 0}, {0, 0}, {2, 5}} {
		if y[i] != want[0] || g[i] != want[1] {
			t.Errorf("ReLU(%v) is %v and its derivative times %v %v, want %v", x[i], y[i], dy[i], g[i], want)
		}
	}
}
