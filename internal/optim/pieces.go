package optim

import "github.com/flops-vit/flops/internal/kernel"

// piece is how many elements a worker takes at a time.
const piece = 1 << 15

// pieces calls f on parts of n elements that do not depend on one another.
func pieces(workers, n int, f func(lo, hi int)) {
	kernel.Parallel(max(1, workers), (n+piece-1)/piece, func(_, i int) { f(i*piece, min(n, (i+1)*piece)) })
}
