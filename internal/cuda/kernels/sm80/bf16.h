// Values of bfloat16 and the matrix instructions of a warp, for compute capability
// 8.0 and later: once as PTX, and once for the host, where the lanes of a warp show
// one another their registers (host::share).
//
// A bf16 is the upper half of a float32. In memory it is a u16, and two neighbours
// travel as one u32 with the first in its low half.
#pragma once
#include "../mathf.h"

typedef unsigned short u16;
typedef u32 u4 __attribute__((vector_size(16))); // eight values

DEVICE float bf16_low(u32 v) { return bits_float(v << 16); }
DEVICE float bf16_high(u32 v) { return bits_float(v & 0xFFFF0000u); }
DEVICE float bf16_float(u16 v) { return bits_float((u32)v << 16); }

// bf16_round is the nearest bf16, ties to even; NaN stays one.
DEVICE u16 bf16_round(float v) {
	u32 b = float_bits(v);
	if ((b & 0x7FFFFFFFu) > 0x7F800000u)
		return (u16)(b >> 16 | 0x40u);
	return (u16)((b + 0x7FFFu + (b >> 16 & 1)) >> 16);
}

#ifdef FLOPS_HOST

DEVICE u32 bf16_pair(float first, float second) { return bf16_round(first) | (u32)bf16_round(second) << 16; }
DEVICE float exp2_near(float x) { return __builtin_exp2f(x); }
DEVICE float inverse_near(float x) { return 1.0f / x; }

// What a launch asks for beyond the static shared memory; the launch fills it with
// NaN.
alignas(128) static char host_dynamic[232448];
DEVICE char *dynamic_shared() { return host_dynamic; }

DEVICE const u16 *host_row(const unsigned *w) { return (const u16 *)(w[0] | (u64)w[1] << 32); }

DEVICE void load_tiles(u32 (&r)[4], const void *row) {
	unsigned mine[2] = {(unsigned)(u64)row, (unsigned)((u64)row >> 32)};
	const unsigned(*w)[host::WORDS] = host::share(mine, 2);
	int lane = TID % 32;
	for (int m = 0; m < 4; m++) {
		const u16 *p = host_row(w[8 * m + lane / 4]) + 2 * (lane % 4);
		r[m] = p[0] | (u32)p[1] << 16;
	}
}

DEVICE void load_tiles_across(u32 (&r)[4], const void *row) {
	unsigned mine[2] = {(unsigned)(u64)row, (unsigned)((u64)row >> 32)};
	const unsigned(*w)[host::WORDS] = host::share(mine, 2);
	int lane = TID % 32;
	for (int m = 0; m < 4; m++) {
		const unsigned(*at)[host::WORDS] = w + 8 * m + 2 * (lane % 4);
		r[m] = host_row(at[0])[lane / 4] | (u32)host_row(at[1])[lane / 4] << 16;
	}
}

DEVICE void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
	unsigned mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
	const unsigned(*w)[host::WORDS] = host::share(mine, 6);
	int lane = TID % 32;
	for (int i = 0; i < 4; i++) {
		int row = lane / 4 + i / 2 * 8, col = lane % 4 * 2 + i % 2;
		for (int k = 0; k < 16; k++) {
			u32 x = w[row % 8 * 4 + k % 8 / 2][k / 8 * 2 + row / 8], y = w[col * 4 + k % 8 / 2][4 + k / 8];
			c[i] += k % 2 ? bf16_high(x) * bf16_high(y) : bf16_low(x) * bf16_low(y);
		}
	}
}

DEVICE void copy_begin(void *to, const void *from, bool there) {
	if (there)
		std::memcpy(to, from, 16);
	else
		std::memset(to, 0, 16);
}
DEVICE void copy_group() {}
DEVICE void copy_all_wait() {}

#else

DEVICE u32 bf16_pair(float first, float second) {
	u32 d;
	__asm__("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(second), "f"(first));
	return d;
}
DEVICE float exp2_near(float x) {
	float y;
	__asm__("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}
DEVICE float inverse_near(float x) {
	float y;
	__asm__("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}

extern __attribute__((shared, aligned(128))) char flops_dynamic[];
DEVICE char *dynamic_shared() { return flops_dynamic; }
DEVICE u32 in_shared(const void *p) { return (u32)(u64)(const __attribute__((address_space(3))) void *)p; }

// load_tiles reads four tiles of 8×8 values: lane 8m+i gives the address of row i
// of tile m in shared memory, and lane l receives of each tile the values 2(l%4)
// and the next of row l/4.
DEVICE void load_tiles(u32 (&r)[4], const void *row) {
	__asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
	                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
	                 : "r"(in_shared(row))
	                 : "memory");
}

// load_tiles_across is the same of the transposed tiles.
DEVICE void load_tiles_across(u32 (&r)[4], const void *row) {
	__asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
	                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
	                 : "r"(in_shared(row))
	                 : "memory");
}

// multiply_add: C += A B, A 16×16, B 16×8 of bf16, C of float32. Lane 4g+t holds
// of C the values (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1); of A the pairs that
// begin at (g, 2t), (g+8, 2t), (g, 2t+8), (g+8, 2t+8); of column g of B the pairs
// of rows that begin at 2t and 2t+8.
DEVICE void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
	__asm__("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
	        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
	        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// copy_begin has 16 bytes moved from global to shared memory while the thread goes
// on, zeros where they are not there.
DEVICE void copy_begin(void *to, const void *from, bool there) {
	__asm__ volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
	                 :
	                 : "r"(in_shared(to)), "l"((const __attribute__((address_space(1))) void *)from), "r"(there ? 16 : 0)
	                 : "memory");
}
DEVICE void copy_group() { __asm__ volatile("cp.async.commit_group;" ::: "memory"); }
DEVICE void copy_all_wait() { __asm__ volatile("cp.async.wait_group 0;" ::: "memory"); }
#endif

// quad_sum and quad_max are over the four lanes that hold a row of C.
DEVICE float quad_sum(float v) {
	v += shuffle_xor(v, 1);
	return v + shuffle_xor(v, 2);
}
DEVICE float quad_max(float v) {
	v = __builtin_fmaxf(v, shuffle_xor(v, 1));
	return __builtin_fmaxf(v, shuffle_xor(v, 2));
}

// logistic_near is x/(1 + 2^-u).
DEVICE float logistic_near(float x, float u) { return x * inverse_near(1.0f + exp2_near(-u)); }

// function_near is function_f for a result that will be rounded to bf16: within
// 3e-5, and within 6e-4 of a value that is 1e-3 or more. In GELU the odds of Φ are
// 2^(x p(x²)), p fitted to |x| ≤ 5.6.
DEVICE float function_near(float x, int function) {
	const float log2e = 1.44269502f;
	float t = x * x, p;
	switch (function) {
	case 1:
		t = t < 30.0f ? t : 30.0f;
		p = 1.503250359746744e-06f;
		p = fma32(p, t, -4.339471706771292e-05f);
		p = fma32(p, t, -7.284032762981951e-04f);
		p = fma32(p, t, 0.106299623847f);
		p = fma32(p, t, 2.301208734512f);
		return logistic_near(x, x * p);
	case 2:
		return logistic_near(x, x * log2e * fma32(0.0713548163f, t < 1e4f ? t : 1e4f, 1.59576912f));
	case 3:
		return logistic_near(x, x * (log2e * 1.702f));
	case 4:
		return logistic_near(x, x * log2e);
	case 5:
		return x > 0.0f ? x : 0.0f;
	}
	return x;
}

// Eight neighbours, at an address that is a multiple of 16 bytes.
DEVICE void load8(float (&v)[8], const float *p) {
	f4 a = ((const f4 *)p)[0], b = ((const f4 *)p)[1];
	UNROLL
	for (int i = 0; i < 4; i++) {
		v[i] = a[i];
		v[4 + i] = b[i];
	}
}
DEVICE void load8(float (&v)[8], const u16 *p) {
	u4 a = *(const u4 *)p;
	UNROLL
	for (int i = 0; i < 4; i++) {
		v[2 * i] = bf16_low(a[i]);
		v[2 * i + 1] = bf16_high(a[i]);
	}
}
DEVICE void store8(u16 *p, const float (&v)[8]) {
	u4 a = {};
	UNROLL
	for (int i = 0; i < 4; i++)
		a[i] = bf16_pair(v[2 * i], v[2 * i + 1]);
	*(u4 *)p = a;
}
DEVICE void store8(float *p, const float (&v)[8]) {
	((f4 *)p)[0] = f4{v[0], v[1], v[2], v[3]};
	((f4 *)p)[1] = f4{v[4], v[5], v[6], v[7]};
}
