// Package kernel holds the arithmetic everything else is made of: matrix
// products in single precision, and the vector functions of a transformer.
//
// # Matrix products
//
// [Gemm] computes C = A·B for a B that was packed once ([Packed]) and is used
// many times, which is the life of a layer's weights: packed once a step, read
// by every query. [GemmTN] computes the other product of training, Aᵀ·B.
// Both are single-threaded; callers spread rows over workers ([Parallel]).
//
// A product runs on one of several engines, chosen at first use: hand-made
// AVX-512 or AVX2+FMA micro-kernels where the processor has them, an OpenBLAS
// or Accelerate library found at run time where it has not, gonum where there
// is no such library. [Describe] says which, [Select] and the environment
// variable FLOPS_KERNEL choose another. A micro-kernel must agree with the
// portable code on a small awkward product before it is used.
//
// The blocking follows Goto and van de Geijn, "Anatomy of high-performance
// matrix multiplication" (ACM TOMS 34, 2008), with one difference: A is not
// packed. The k of a transformer's layers is so short that packing A costs as
// much as a fifth of the product, while its rows, read in order, are served by
// the first cache anyway; the micro-kernels broadcast from them in place.
//
// [GemmHalf] multiplies with both factors rounded to bf16, on the tile unit of a processor
// that has one ([DescribeHalf]), and with the same bits by vectors or in Go alone on
// every other.
//
// # What callers may rely on
//
// A row of C depends on that row of A, on B and on the shapes k and n alone:
// its bits are the same whatever m is and wherever the row stands, so batching
// and the number of workers never change a number. The sum over k is cut into
// blocks that depend on k alone, and every tile, also at the edges, adds in
// the same order with the same fused operations. A library may break this; it is
// tried at start-up and [Describe] says so. AVX2 and AVX-512 give the same bits, in
// products and vectors alike; other engines agree with them only to rounding.
//
// Nothing here allocates once its workspace has grown ([Scratch]).
package kernel
