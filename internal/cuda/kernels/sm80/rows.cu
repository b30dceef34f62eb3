// What stands between the products in bf16: roundings, norms, activation functions,
// patches and the sequence. A thread takes eight neighbours.
#include "bf16.h"

// round_bf16 is the nearest bf16 of n floats.
KERNEL_OF(256, round_bf16, u16 *out, const float *x, i64 n) {
	i64 i = 8 * thread_at();
	if (i + 8 <= n) {
		float v[8];
		load8(v, x + i);
		store8(out + i, v);
		return;
	}
	for (; i < n; i++)
		out[i] = bf16_round(x[i]);
}

// split_bf16 is x as the sum of three bf16, each the nearest to what those before it
// leave: all 24 bits of a float. out has the n values of the first, then those of the
// second and third, each part gap values after the one before.
KERNEL_OF(256, split_bf16, u16 *out, const float *x, i64 n, i64 gap) {
	i64 i = 8 * thread_at();
	if (i + 8 <= n) {
		float v[8];
		load8(v, x + i);
		UNROLL
		for (int part = 0; part < 3; part++) {
			store8(out + part * gap + i, v);
			UNROLL
			for (int j = 0; j < 8; j++)
				v[j] -= bf16_float(bf16_round(v[j]));
		}
		return;
	}
	for (; i < n; i++) {
		float v = x[i];
		for (int part = 0; part < 3; part++) {
			u16 b = bf16_round(v);
			out[part * gap + i] = b;
			v -= bf16_float(b);
		}
	}
}

// widen_bf16 gives n values back as floats.
KERNEL_OF(256, widen_bf16, float *out, const u16 *x, i64 n) {
	i64 i = 8 * thread_at();
	if (i + 8 <= n) {
		float v[8];
		load8(v, x + i);
		store8(out + i, v);
		return;
	}
	for (; i < n; i++)
		out[i] = bf16_float(x[i]);
}

// normalise: the layer norm of one row by one warp, which keeps it in registers:
// N groups of 256 values at most. d is a multiple of 8.
template <int N, class X> DEVICE void normalise(u16 *out, const X *x, const float *gamma, const float *beta, i64 rows, int d, float eps) {
	i64 r = (i64)BID_X * (THREADS / 32) + TID / 32;
	int first = 8 * (TID % 32);
	if (r >= rows)
		return;
	x += r * d;
	out += r * d;
	float v[N][8], s = 0.0f;
	UNROLL
	for (int n = 0; n < N; n++)
		if (256 * n + first < d) {
			load8(v[n], x + 256 * n + first);
			UNROLL
			for (int j = 0; j < 8; j++)
				s += v[n][j];
		}
	float mean = warp_sum(s) / (float)d;
	s = 0.0f;
	UNROLL
	for (int n = 0; n < N; n++)
		if (256 * n + first < d)
			UNROLL
			for (int j = 0; j < 8; j++) {
				v[n][j] -= mean;
				s = fma32(v[n][j], v[n][j], s);
			}
	float rstd = 1.0f / sqrt_rn(warp_sum(s) / (float)d + eps);
	UNROLL
	for (int n = 0; n < N; n++)
		if (256 * n + first < d) {
			float g[8], b[8];
			load8(g, gamma + 256 * n + first);
			load8(b, beta + 256 * n + first);
			UNROLL
			for (int j = 0; j < 8; j++)
				v[n][j] = fma32(v[n][j] * rstd, g[j], b[j]);
			store8(out + 256 * n + first, v[n]);
		}
}

// norm_bf16_N: the layer norm of rows of up to 256·N floats, as bf16.
#define NORM(N)                                                                                                             \
	KERNEL_OF(256, norm_bf16_##N, u16 *out, const float *x, const float *gamma, const float *beta, i64 rows, int d, float eps) { \
		normalise<N>(out, x, gamma, beta, rows, d, eps);                                                                      \
	}
NORM(3)
NORM(8)

// norm_half_N: the same of rows of bf16.
#define NORM_HALF(N)                                                                                                        \
	KERNEL_OF(256, norm_half_##N, u16 *out, const u16 *x, const float *gamma, const float *beta, i64 rows, int d, float eps) { \
		normalise<N>(out, x, gamma, beta, rows, d, eps);                                                                      \
	}
NORM_HALF(3)
NORM_HALF(8)

// activation_bf16: f(x), of n values, a multiple of 8. out may be x.
KERNEL_OF(256, activation_bf16, u16 *out, const u16 *x, i64 n, int function) {
	i64 i = 8 * thread_at();
	if (i >= n)
		return;
	float v[8];
	load8(v, x + i);
	UNROLL
	for (int j = 0; j < 8; j++)
		v[j] = function_near(v[j], function);
	store8(out + i, v);
}

// patches_bf16: rows of one patch each, as patches makes them of floats. p is a
// multiple of 8, n the number of values.
KERNEL_OF(256, patches_bf16, u16 *out, const float *img, i64 n, int chans, int high, int wide, int p) {
	i64 i = 8 * thread_at();
	if (i >= n)
		return;
	int columns = wide / p, patches = high / p * columns, len = chans * p * p, at = (int)(i % len);
	i64 row = i / len, slot = row / patches;
	int patch = (int)(row % patches), c = at / (p * p), y = at / p % p, x = at % p;
	float v[8];
	const float *from = img + ((slot * chans + c) * high + patch / columns * p + y) * wide + patch % columns * p + x;
	if (((u64)from & 15) == 0)
		load8(v, from);
	else
		for (int j = 0; j < 8; j++)
			v[j] = from[j];
	store8(out + i, v);
}

// embed_bf16: the rows of patches in bf16, from row on, with their positions where
// there are any. width is a multiple of 8, n the number of values of all slots.
KERNEL_OF(256, embed_bf16, float *out, const u16 *z, const float *pos, i64 n, int patches, int row, int tokens, int width) {
	i64 i = 8 * thread_at();
	if (i >= n)
		return;
	i64 size = (i64)patches * width, slot = i / size, at = i % size;
	float v[8], p[8] = {};
	load8(v, z + i);
	if (pos)
		load8(p, pos + at);
	UNROLL
	for (int j = 0; j < 8; j++)
		v[j] += p[j];
	store8(out + (slot * tokens + row) * width + at, v);
}

// embed_half: rows of the sequence as bf16, from row on: of each slot's own values z,
// or of a parameter, with their positions where there are any. width is a multiple of
// 8, n the number of values of all slots.
KERNEL_OF(256, embed_half, u16 *out, const u16 *z, const float *parameter, const float *pos, i64 n, int rows, int row, int tokens,
          int width) {
	i64 i = 8 * thread_at();
	if (i >= n)
		return;
	i64 size = (i64)rows * width, slot = i / size, at = i % size;
	float v[8], p[8] = {};
	if (z)
		load8(v, z + i);
	else
		load8(v, parameter + at);
	if (pos)
		load8(p, pos + at);
	UNROLL
	for (int j = 0; j < 8; j++)
		v[j] += p[j];
	store8(out + (slot * tokens + row) * width + at, v);
}
