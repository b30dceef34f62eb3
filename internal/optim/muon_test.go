package optim

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/noise"
	"gonum.org/v1/gonum/mat"
)

// gaussians are n numbers of a seed.
func gaussians(seed uint64, n int) []float32 {
	r := noise.Rand(seed, noise.Init, 0)
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.Normal())
	}
	return out
}

// quintic is five rounds of Newton and Schulz by dense products of float64, with
// no transpose: (a + b·xxᵀ + c·(xxᵀ)²)·x.
func quintic(v []float64, rows, cols int) *mat.Dense {
	x := mat.NewDense(rows, cols, slices.Clone(v))
	x.Scale(1/mat.Norm(x, 2), x)
	for range 5 {
		var g, gx, ggx mat.Dense
		g.Mul(x, x.T())
		gx.Mul(&g, x)
		ggx.Mul(&g, &gx)
		gx.Scale(-4.7750, &gx)
		ggx.Scale(2.0315, &ggx)
		x.Scale(3.4445, x)
		x.Add(x, &gx)
		x.Add(x, &ggx)
	}
	return x
}

var shapes = []struct {
	shape      []int
	rows, cols int // 0: a vector
}{
	{[]int{5, 9}, 5, 9}, {[]int{33, 7}, 33, 7}, {[]int{16, 16}, 16, 16}, {[]int{6, 3, 2, 2}, 6, 12},
	{[]int{1, 4, 5}, 4, 5}, {[]int{10}, 0, 0}, {[]int{1, 1, 8}, 0, 0}, {[]int{1, 12}, 0, 0}, {[]int{12, 1}, 0, 0},
}

func muonOf(t *testing.T, workers int, mu float64, nesterov bool, wd float64) Optimizer {
	t.Helper()
	o, err := New("muon", Options{WeightDecay: wd, Workers: workers, Own: Nesterov.With(Momentum.With(nil, mu), nesterov)})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestMuon compares four updates of every kind of tensor with the published rule
// in float64, the third through a checkpoint. Five rounds may multiply a rounding by
// 3.4445⁵ = 485, and the average carries it on: 485·6e-8 is 3e-5 of an entry.
func TestMuon(t *testing.T) {
	const lr, wd = 0.03, 0.2
	for i, c := range shapes {
		for _, mu := range []float64{0, 0.9} {
			for _, nesterov := range []bool{true, false} {
				t.Run(fmt.Sprint(c.shape, mu, nesterov), func(t *testing.T) {
					n := 1
					for _, d := range c.shape {
						n *= d
					}
					p := &forward.Param{Name: "w", Shape: c.shape, Data: gaussians(uint64(i), n), Decay: c.rows > 0}
					want, avg := testkit.Float64s(p.Data), make([]float64, n)
					o := muonOf(t, 2, mu, nesterov, wd)
					for s := range 4 {
						if s == 2 {
							fresh := muonOf(t, 2, mu, nesterov, wd)
							if err := fresh.Restore(o.State()); err != nil {
								t.Fatal(err)
							}
							o = fresh
						}
						p.Grad = gaussians(uint64(100+10*i+s), n)
						reference(want, avg, testkit.Float64s(p.Grad), c.rows, c.cols, mu, nesterov, lr, p.Decay, wd)
						o.Step([]*forward.Param{p}, lr)
						for j := range want {
							if math.Abs(float64(p.Data[j])-want[j]) > 1e-4*lr*float64(s+1)+1e-6 {
								t.Fatalf("update %d: w[%d] = %v, in float64 %v", s, j, p.Data[j], want[j])
							}
						}
					}
				})
			}
		}
	}
}

// reference is muon's rule on one tensor; rows is 0 of a vector.
func reference(w, avg, g []float64, rows, cols int, mu float64, nesterov bool, lr float64, decayed bool, wd float64) {
	u := make([]float64, len(g))
	var sq float64
	for i := range g {
		avg[i] = mu*avg[i] + (1-mu)*g[i]
		u[i] = avg[i]
		if nesterov {
			u[i] = mu*avg[i] + (1-mu)*g[i]
		}
		sq += u[i] * u[i]
	}
	long := len(g)
	if rows > 0 {
		u, long = quintic(u, rows, cols).RawMatrix().Data, max(rows, cols)
	} else {
		for i := range u {
			u[i] /= math.Sqrt(sq)
		}
	}
	for i := range w {
		if decayed {
			w[i] *= 1 - lr*wd
		}
		w[i] -= lr * 0.2 * math.Sqrt(float64(long)) * u[i]
	}
}

// TestOrthogonal: singular values from a twentieth of the largest on come to lie
// within a third of 1, and the singular vectors stay.
func TestOrthogonal(t *testing.T) {
	for _, c := range [][2]int{{12, 40}, {40, 12}} {
		rows, cols := c[0], c[1]
		v := gaussians(7, rows*cols)
		var before mat.SVD
		before.Factorize(mat.NewDense(rows, cols, testkit.Float64s(v)), mat.SVDThin)
		newOrthogonalizer(1).apply(v, rows, cols)
		after := mat.NewDense(rows, cols, testkit.Float64s(v))
		var left, right, half, core mat.Dense
		before.UTo(&left)
		before.VTo(&right)
		half.Mul(left.T(), after)
		core.Mul(&half, &right)
		for i := range 12 {
			for j := range 12 {
				s := core.At(i, j)
				if i != j && math.Abs(s) > 1e-3 || i == j && math.Abs(s-1) > 1./3 {
					t.Errorf("%dx%d: uᵀxv[%d][%d] = %v", rows, cols, i, j, s)
				}
			}
		}
	}
}

// TestMuonWorkers: bits do not depend on the number of workers, nor on what was
// updated before with the same workspace.
func TestMuonWorkers(t *testing.T) {
	var want []float32
	for _, workers := range []int{1, 2, 3, 16} {
		o := muonOf(t, workers, 0.9, true, 0)
		p := &forward.Param{Name: "w", Shape: []int{130, 257}, Data: make([]float32, 130*257)}
		q := &forward.Param{Name: "v", Shape: []int{300, 20 * workers}, Data: make([]float32, 6000*workers)}
		for s := range 2 {
			p.Grad, q.Grad = gaussians(uint64(s), len(p.Data)), gaussians(9, len(q.Data))
			o.Step([]*forward.Param{q, p}, 1)
		}
		if want == nil {
			want = slices.Clone(p.Data)
		}
		if !slices.Equal(p.Data, want) {
			t.Errorf("%d workers: other weights than one", workers)
		}
	}
}

// TestMuonExtremes: no gradient moves nothing, and the size of a gradient changes
// nothing, as long as a float32 can hold it.
func TestMuonExtremes(t *testing.T) {
	for _, shape := range [][]int{{6, 10}, {60}} {
		step := func(by float32) []float32 {
			p := &forward.Param{Name: "w", Shape: shape, Data: make([]float32, 60), Grad: gaussians(3, 60)}
			scale(p.Grad, p.Grad, by)
			muonOf(t, 1, 0, false, 0).Step([]*forward.Param{p}, 1)
			return p.Data
		}
		if slices.ContainsFunc(step(0), func(x float32) bool { return x != 0 }) {
			t.Errorf("%v: moved by no gradient", shape)
		}
		one := step(1)
		for _, by := range []float32{0x1p-120, 0x1p100} {
			for i, x := range step(by) {
				if math.Abs(float64(x-one[i])) > 1e-4 {
					t.Fatalf("%v, gradient times %v: %v, want %v", shape, by, x, one[i])
				}
			}
		}
	}
}
