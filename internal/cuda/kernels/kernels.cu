// Every kernel in one translation unit: this is what becomes kernels.ptx, and
// with FLOPS_HOST the library of the tests.
#include "attention.cu"
#include "gemm.cu"
#include "guided.cu"
#include "noise.cu"
#include "noisy_row.cu"
#include "optimizer.cu"
#include "rows.cu"
#include "tokens.cu"
