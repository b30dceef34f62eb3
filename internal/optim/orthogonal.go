package optim

import (
	"math"

	"github.com/flops-vit/flops/internal/kernel"
)

// newtonSchulz are the coefficients of the odd quintic a·x + b·x³ + c·x⁵ that
// Muon iterates (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon):
// chosen for a steep slope at 0, so that five rounds bring singular values from
// about 0.01 up to 1 into 0.68 to 1.13, where they then stay.
var newtonSchulz = [3]float32{3.4445, -4.7750, 2.0315}

// newtonSchulzRounds is how often it is applied.
const newtonSchulzRounds = 5

// orthogonalizer replaces a matrix U·S·Vᵀ by about U·Vᵀ, the nearest matrix with
// orthonormal rows or columns. It keeps its workspace between calls.
type orthogonalizer struct {
	workers      int
	scratch      []kernel.Scratch // by worker
	right        kernel.Packed
	x, y, a, mix []float32
}

func newOrthogonalizer(workers int) *orthogonalizer {
	workers = max(1, workers)
	return &orthogonalizer{workers: workers, scratch: make([]kernel.Scratch, workers)}
}

// apply orthogonalises v, rows×cols and row-major, in place. Zeros stay zeros. The
// bits of the result do not depend on the number of workers.
func (o *orthogonalizer) apply(v []float32, rows, cols int) {
	n := norm(v)
	if n == 0 {
		return
	}
	m, k := min(rows, cols), max(rows, cols)
	o.x, o.y = kernel.Grow(&o.x, m*k), kernel.Grow(&o.y, m*k)
	o.a, o.mix = kernel.Grow(&o.a, m*m), kernel.Grow(&o.mix, m*m)
	for i := range rows { // the Gram matrix is made of the shorter side
		for j, g := range v[i*cols:][:cols] {
			at := i*cols + j
			if rows > cols {
				at = j*rows + i
			}
			o.x[at] = float32(float64(g) / n)
		}
	}
	for range newtonSchulzRounds {
		o.round(m, k)
	}
	for i := range rows {
		for j := range cols {
			at := i*cols + j
			if rows > cols {
				at = j*rows + i
			}
			v[i*cols+j] = o.x[at]
		}
	}
}

// round is x ← a·x + (b·G + c·G²)·x with G = x·xᵀ.
func (o *orthogonalizer) round(m, k int) {
	a, b, c := newtonSchulz[0], newtonSchulz[1], newtonSchulz[2]
	o.right.PackNT(o.x, m, k, k)
	o.product(o.a, m, o.x, k, m, nil)
	scale(o.mix, o.a, b)
	o.right.PackNN(o.a, m, m, m)
	o.product(o.mix, m, o.a, m, m, &kernel.Epilogue{Accumulate: true, Scale: c})
	scale(o.y, o.x, a)
	o.right.PackNN(o.x, m, k, k)
	o.product(o.y, k, o.mix, m, m, &kernel.Epilogue{Accumulate: true})
	o.x, o.y = o.y, o.x
}

// product is C = A·right with m rows, a share of them for each worker. A row has
// the same bits wherever it stands.
func (o *orthogonalizer) product(c []float32, ldc int, a []float32, lda, m int, ep *kernel.Epilogue) {
	share := (m + o.workers - 1) / o.workers
	kernel.Parallel(o.workers, (m+share-1)/share, func(w, i int) {
		from := i * share
		kernel.Gemm(c[from*ldc:], ldc, a[from*lda:], lda, min(share, m-from), &o.right, ep, &o.scratch[w])
	})
}

// norm is the Euclidean norm.
func norm(v []float32) float64 {
	var sq float64
	for _, x := range v {
		sq += float64(x) * float64(x)
	}
	return math.Sqrt(sq)
}

func scale(dst, src []float32, by float32) {
	copy(dst, src)
	kernel.Scale(dst[:len(src)], by)
}
