package kernel

import "math"

// Activation functions of the form x·σ(u(x)), σ the logistic function. Like the
// other elementwise kernels they may work in place, allocate nothing, and give an
// element the same bits wherever it stands.

// Logistic is a function x·σ(a·x + b·x³).
type Logistic struct{ Linear, Cubic float32 }

// The logistic activation functions in use.
var (
	// SiLU is x·σ(x) (Elfwing et al. 2017, arXiv 1702.03118), also called swish.
	SiLU = Logistic{Linear: 1}
	// QuickGELU is x·σ(1.702x), OpenAI's approximation of GELU in CLIP.
	QuickGELU = Logistic{Linear: 1.702}
	// TanhGELU is 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))) (Hendrycks and Gimpel,
	// arXiv 1606.08415), written by tanh(u) = 2σ(2u) − 1.
	TanhGELU = Logistic{Linear: float32(2 * math.Sqrt(2/math.Pi)), Cubic: float32(2 * math.Sqrt(2/math.Pi) * 0.044715)}
)

// logisticChunk is the number of values whose exponentials are taken at once.
const logisticChunk = 256

// Apply sets dst[i] = x[i]·σ(u(x[i])), within 1e-6 of the true value relative to
// |x[i]|.
func (l Logistic) Apply(dst, x []float32) {
	x = x[:len(dst)]
	var e [logisticChunk]float32
	for lo := 0; lo < len(x); lo += logisticChunk {
		part := x[lo:min(lo+logisticChunk, len(x))]
		l.exponentials(e[:len(part)], part)
		out := dst[lo : lo+len(part)]
		for i, v := range part {
			out[i] = v / (1 + e[i])
		}
	}
}

// Grad sets dst[i] = dy[i] times the derivative at x[i], σ(u)·(1 + x·u'·σ(−u)).
func (l Logistic) Grad(dst, x, dy []float32) {
	x, dy = x[:len(dst)], dy[:len(dst)]
	var e [logisticChunk]float32
	for lo := 0; lo < len(x); lo += logisticChunk {
		part, up := x[lo:min(lo+logisticChunk, len(x))], dy[lo:]
		l.exponentials(e[:len(part)], part)
		out := dst[lo : lo+len(part)]
		for i, v := range part {
			s := 1 / (1 + e[i])
			slope := l.Linear + 3*l.Cubic*v*v
			out[i] = up[i] * s * (1 + v*slope*(1-s))
		}
	}
}

// exponentials sets e[i] = e^(−u(x[i])), at most e^80, beyond which the function
// and its derivative are 0 in any case.
func (l Logistic) exponentials(e, x []float32) {
	for i, v := range x {
		e[i] = min(-v*(l.Linear+l.Cubic*v*v), 80)
	}
	Exp(e, e)
}

// ReLU sets dst[i] = max(x[i], 0).
func ReLU(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = max(v, 0)
	}
}

// ReLUGrad sets dst[i] = dy[i] where x[i] is above 0, and 0 elsewhere.
func ReLUGrad(dst, x, dy []float32) {
	for i, v := range x[:len(dst)] {
		g := dy[i]
		if !(v > 0) {
			g = 0
		}
		dst[i] = g
	}
}

// Tanh sets dst[i] = tanh(x[i]) ; a pooler's one row needs no fast one.
func Tanh(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = float32(math.Tanh(float64(v)))
	}
}

// TanhGrad sets dst[i] = dy[i]·(1 − tanh²(x[i])).
func TanhGrad(dst, x, dy []float32) {
	for i, v := range x[:len(dst)] {
		t := math.Tanh(float64(v))
		dst[i] = dy[i] * float32(1-t*t)
	}
}
