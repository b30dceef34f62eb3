package kernel

// Thin is the workspace of one goroutine for products of a gradient with matrices of few
// columns. The zero value is ready; it grows to what the shapes need and then stays.
type Thin struct {
	packed Packed
	bufs   [2][]float32
}

// NT is x Wᵀ of x, rows×k, and W, n×k, in the i-th of two pieces of memory, where it
// stays until the next product there.
func (t *Thin) NT(i int, x []float32, rows int, w []float32, n, k int, s *Scratch) []float32 {
	t.packed.PackNT(w, n, k, k)
	return t.product(i, x, rows, s)
}

// NN is x W of x, rows×k, and W, k×n; see NT.
func (t *Thin) NN(i int, x []float32, rows int, w []float32, k, n int, s *Scratch) []float32 {
	t.packed.PackNN(w, k, n, n)
	return t.product(i, x, rows, s)
}

func (t *Thin) product(i int, x []float32, rows int, s *Scratch) []float32 {
	k, n := t.packed.Rows(), t.packed.Cols()
	out := Grow(&t.bufs[i], rows*n)
	Gemm(out, n, x, k, rows, &t.packed, nil, s)
	return out
}
