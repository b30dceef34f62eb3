package vit

// Costs are counted as multiplications and additions of the matrix products
// that a pass really computes, two per multiply-add: a last block of which only
// the cls row is read counts that row alone, because no more is computed. Norms,
// activation functions, softmax and noise are left out, as is usual.

func mm(m, n, k int) int64 { return 2 * int64(m) * int64(n) * int64(k) }
