package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/flops-vit/flops/internal/kernel"
)

// TestGELU holds the device's GELU to 5 ulp of the true value on both sides,
// over every 16381st float32, and at the ends.
func TestGELU(t *testing.T) {
	r := newRig(t, Noise{})
	var x []float32
	for b := uint64(0); b < 1<<32; b += 16381 {
		v := math.Float32frombits(uint32(b))
		if a := math.Abs(float64(v)); a < 14 && a > 1e-30 {
			x = append(x, v)
		}
	}
	out := r.room(4 * len(x))
	p := put(r, x)
	r.ok(r.Activation(GELU, out, p, int64(len(x))))
	worst := 0.0
	for i, g := range r.floats(out, len(x)) {
		if w := geluRef(float64(x[i])); math.Abs(w) > 1e-37 {
			worst = max(worst, ulps(g, w))
		}
	}
	if worst > 5 {
		t.Errorf("GELU is off by %.2f ulp", worst)
	}
	inf := float32(math.Inf(1))
	ends := put(r, []float32{inf, -inf, 0, -20, float32(math.NaN())})
	r.ok(r.Activation(GELU, ends, ends, 5))
	got := r.floats(ends, 5)
	if got[0] != inf || got[1] != 0 || got[2] != 0 || got[3] != 0 || got[4] == got[4] {
		t.Errorf("GELU of +Inf, -Inf, 0, -20, NaN is %v", got)
	}
	dy := put(r, fill(len(x), 1))
	r.ok(r.ActivationGrad(GELU, out, p, dy, int64(len(x))))
	for i, g := range r.floats(out, len(x)) {
		v := float64(x[i])
		want := 0.5*math.Erfc(-v/math.Sqrt2) + v*math.Exp(-0.5*v*v)/math.Sqrt(2*math.Pi)
		if math.Abs(float64(g)-want) > 3e-7 {
			t.Fatalf("GELU'(%v) is %v, want %v", v, g, want)
		}
	}
}

// The device's other activation functions and their derivatives are the CPU's.
func TestFunctions(t *testing.T) {
	r := newRig(t, Noise{})
	var x []float32
	for v := float32(-25); v < 25; v += 0.0371 {
		x = append(x, v)
	}
	dy := fill(len(x), 2)
	for f, c := range map[Function]struct {
		apply func(dst, x []float32)
		grad  func(dst, x, dy []float32)
	}{
		TanhGELU: {kernel.TanhGELU.Apply, kernel.TanhGELU.Grad}, QuickGELU: {kernel.QuickGELU.Apply, kernel.QuickGELU.Grad},
		SiLU: {kernel.SiLU.Apply, kernel.SiLU.Grad}, ReLU: {kernel.ReLU, kernel.ReLUGrad},
	} {
		out, want := r.room(4*len(x)), make([]float32, len(x))
		r.ok(r.Activation(f, out, put(r, x), int64(len(x))))
		c.apply(want, x)
		for i, g := range r.floats(out, len(x)) {
			if math.Abs(float64(g-want[i])) > 2e-6*(1+math.Abs(float64(x[i]))) {
				t.Fatalf("function %d of %v is %v, want %v", f, x[i], g, want[i])
			}
		}
		r.ok(r.ActivationGrad(f, out, put(r, x), put(r, dy), int64(len(x))))
		c.grad(want, x, dy)
		for i, g := range r.floats(out, len(x)) {
			if math.Abs(float64(g-want[i])) > 1e-5 {
				t.Fatalf("derivative %d at %v is %v, want %v", f, x[i], g, want[i])
			}
		}
	}
}

func fill(n int, v float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = v
	}
	return x
}

// awkward are the shapes of row kernels: one row, one column, odd sizes, and
// the token counts of the models.
var awkward = []struct{ rows, n int }{{1, 1}, {1, 5}, {9, 31}, {8, 32}, {3, 33}, {197, 7}, {2, 197}, {65, 65}, {1, 768},
	{17, 100}}

func TestLayerNorm(t *testing.T) {
	const eps = 1e-12
	for _, s := range awkward {
		if s.n == 1 {
			continue // its variance is zero
		}
		r := newRig(t, Noise{})
		x, g, b, dy := random(s.rows*s.n, 1), random(s.n, 2), random(s.n, 3), random(s.rows*s.n, 4)
		for i := range x {
			x[i] = 3*x[i] + 10 // a mean that a one-pass variance would lose digits to
		}
		size := s.rows * s.n
		want, wantDX, wantDG := make([]float64, size), make([]float64, size), make([]float64, s.n)
		for row := 0; row < s.rows; row++ {
			normRef(want[row*s.n:], wantDX[row*s.n:], wantDG, x[row*s.n:(row+1)*s.n], g, b, dy[row*s.n:], eps)
		}
		out, dx, scaled, dg := r.room(4*size), r.room(4*size), r.room(4*size), r.room(4*s.n)
		px, pg, pdy := put(r, x), put(r, g), put(r, dy)
		r.ok(r.LayerNorm(out, px, pg, put(r, b), s.rows, s.n, eps))
		r.ok(r.NormGrad(dx, scaled, pdy, px, pg, s.rows, s.n, eps))
		r.ok(r.ColumnSum(dg, scaled, int64(s.rows), int64(s.n), int64(s.n), false,
			r.room(int(ColumnSumWorkspace(int64(s.n))))))
		what := fmt.Sprintf("%d×%d", s.rows, s.n)
		near(t, what, r.floats(out, size), want, 1e-5)
		near(t, what+" dx", r.floats(dx, size), wantDX, 2e-5)
		near(t, what+" dgamma", r.floats(dg, s.n), wantDG, 5e-5)
	}
}

func normRef(out, dx, dg []float64, x, g, b, dy []float32, eps float64) {
	n := float64(len(x))
	var mu, sq, sg, sgx float64
	for _, v := range x {
		mu += float64(v) / n
	}
	for _, v := range x {
		sq += (float64(v) - mu) * (float64(v) - mu) / n
	}
	inv := 1 / math.Sqrt(sq+eps)
	for i, v := range x {
		h, gr := (float64(v)-mu)*inv, float64(dy[i])*float64(g[i])
		out[i] = h*float64(g[i]) + float64(b[i])
		dg[i] += float64(dy[i]) * h
		sg += gr / n
		sgx += gr * h / n
	}
	for i, v := range x {
		h, gr := (float64(v)-mu)*inv, float64(dy[i])*float64(g[i])
		dx[i] = inv * (gr - sg - h*sgx)
	}
}

func TestSoftmaxAndCrossEntropy(t *testing.T) {
	for _, s := range awkward {
		r := newRig(t, Noise{})
		size := s.rows * s.n
		x, dp := random(size, 1), random(size, 2)
		for i := range x {
			x[i] *= 20
		}
		label, weight := make([]int32, s.rows), random(s.rows, 3)
		p, loss := make([]float64, size), make([]float64, s.rows)
		grad, lossGrad := make([]float64, size), make([]float64, size)
		for row := 0; row < s.rows; row++ {
			label[row] = int32(row * 5 % s.n)
			lo, hi := row*s.n, (row+1)*s.n
			loss[row] = softmaxRef(p[lo:hi], x[lo:hi], int(label[row]))
			dot := 0.0
			for i := lo; i < hi; i++ {
				dot += p[i] * float64(dp[i])
			}
			for i := lo; i < hi; i++ {
				grad[i] = p[i] * (float64(dp[i]) - dot) * 0.125
				lossGrad[i] = p[i] * float64(weight[row])
			}
			lossGrad[lo+int(label[row])] -= float64(weight[row])
		}
		px, pl := put(r, x), put(r, label)
		out, dl := r.room(4*s.rows), r.room(4*size)
		r.ok(r.CrossEntropy(out, px, pl, s.rows, s.n))
		r.ok(r.CrossEntropyGrad(dl, px, pl, put(r, weight), s.rows, s.n))
		r.ok(r.Softmax(px, s.rows, s.n))
		pd := put(r, dp)
		r.ok(r.SoftmaxGrad(pd, px, s.rows, s.n, 0.125))
		what := fmt.Sprintf("%d×%d", s.rows, s.n)
		near(t, what+" softmax", r.floats(px, size), p, 1e-6)
		near(t, what+" gradient", r.floats(pd, size), grad, 2e-6)
		near(t, what+" loss", r.floats(out, s.rows), loss, 1e-6)
		near(t, what+" loss gradient", r.floats(dl, size), lossGrad, 2e-6)
	}
}

// softmaxRef writes the softmax of x and returns the loss of a label.
func softmaxRef(p []float64, x []float32, label int) float64 {
	top, sum := math.Inf(-1), 0.0
	for _, v := range x {
		top = max(top, float64(v))
	}
	for i, v := range x {
		p[i] = math.Exp(float64(v) - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return math.Log(sum) + top - float64(x[label])
}

func TestSums(t *testing.T) {
	for _, s := range []struct{ rows, width, ld int }{{1, 1, 1}, {7, 33, 40}, {64, 5, 5}, {65, 32, 32}, {1000, 70, 70},
		{5000, 3, 4}} {
		r := newRig(t, Noise{})
		x, before := random(s.rows*s.ld, 1), random(s.width, 2)
		want := wide(before)
		for i := 0; i < s.rows; i++ {
			for j := range want {
				want[j] += float64(x[i*s.ld+j])
			}
		}
		out := put(r, before)
		r.ok(r.ColumnSum(out, put(r, x), int64(s.rows), int64(s.width), int64(s.ld), true,
			r.room(int(ColumnSumWorkspace(int64(s.width))))))
		near(t, fmt.Sprintf("%+v", s), r.floats(out, s.width), want, 1e-4)
	}
	r := newRig(t, Noise{})
	const images, n = 3, 1234
	x, want := random(images*n, 5), make([]float64, images)
	for i := range want {
		want[i] = 7
		for _, v := range x[i*n : (i+1)*n] {
			want[i] += float64(v) * float64(v)
		}
	}
	out := r.room(4 * images)
	r.ok(r.SumSq(out, put(r, x), images, n, 7))
	near(t, "sum of squares", r.floats(out, images), want, 1e-7)
}
