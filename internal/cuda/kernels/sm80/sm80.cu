// Every kernel that needs compute capability 8.0, in one translation unit: this is
// what becomes sm80.ptx.
#include "attention.cu"
#include "rows.cu"
