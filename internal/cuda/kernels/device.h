// The few words of CUDA that the kernels use, so that they compile with clang
// and no CUDA headers, and again for the host (host.h), where threads of a block
// are fibres, shared memory is memory and a barrier is a barrier.
#pragma once

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
typedef float f4 __attribute__((vector_size(16)));

#ifdef FLOPS_HOST
#include "host.h"
#else
#define DEVICE static inline __attribute__((device, always_inline))
#define METHOD inline __attribute__((device, always_inline))
#define UNROLL _Pragma("unroll")
#define SHARED __attribute__((shared))
#define KERNEL(name, ...) extern "C" __attribute__((global)) void name(__VA_ARGS__)
// KERNEL_OF limits the registers to what blocks of n threads may use.
#define KERNEL_OF(n, name, ...) extern "C" __attribute__((global, launch_bounds(n))) void name(__VA_ARGS__)
// KERNEL_MIN also leaves room for so many blocks on a multiprocessor.
#define KERNEL_MIN(n, blocks, name, ...) extern "C" __attribute__((global, launch_bounds(n, blocks))) void name(__VA_ARGS__)
#define TID ((int)__nvvm_read_ptx_sreg_tid_x())
#define THREADS ((int)__nvvm_read_ptx_sreg_ntid_x())
#define BID_X ((int)__nvvm_read_ptx_sreg_ctaid_x())
#define BID_Y ((int)__nvvm_read_ptx_sreg_ctaid_y())
#define BID_Z ((int)__nvvm_read_ptx_sreg_ctaid_z())
#define GRID_X ((int)__nvvm_read_ptx_sreg_nctaid_x())
DEVICE void sync_block() { __syncthreads(); }
DEVICE float shuffle_xor(float v, int mask) { return __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, mask, 31); }
DEVICE float sqrt_rn(float v) { return __nvvm_sqrt_rn_f(v); }
DEVICE double sqrt_rn64(double v) { return __nvvm_sqrt_rn_d(v); }
// shared4 reads four floats of shared memory in one instruction, into which
// clang does not merge the loads by itself.
DEVICE f4 shared4(const float *p) {
	float a, b, c, d;
	__asm__ volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
	                 : "=f"(a), "=f"(b), "=f"(c), "=f"(d)
	                 : "l"((const __attribute__((address_space(3))) float *)p)
	                 : "memory");
	return f4{a, b, c, d};
}
DEVICE u32 mul_hi(u32 a, u32 b) { return (u32)(((u64)a * b) >> 32); }
#endif

// thread_at is the number of this thread along x in the whole grid.
DEVICE i64 thread_at() { return (i64)BID_X * THREADS + TID; }

DEVICE float fma32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEVICE float bits_float(u32 v) { return __builtin_bit_cast(float, v); }
DEVICE u32 float_bits(float v) { return __builtin_bit_cast(u32, v); }

// warp_sum and warp_max give every lane of a warp the sum or the largest of
// their values, in a fixed order.
DEVICE float warp_sum(float v) {
	for (int m = 16; m > 0; m >>= 1)
		v += shuffle_xor(v, m);
	return v;
}

DEVICE float warp_max(float v) {
	for (int m = 16; m > 0; m >>= 1) {
		float w = shuffle_xor(v, m);
		v = w > v ? w : v;
	}
	return v;
}

// bf16_nearest is the nearest bf16, of ties the even one.
DEVICE unsigned short bf16_nearest(float v) {
	u32 u = float_bits(v);
	return v != v ? 0x7FFF : (unsigned short)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}
