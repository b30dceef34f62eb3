// What a gradient that is partly predicted is made of (forward.Surrogate): ĝ = Dᵀu of
// an attention of one row, what the prediction leaves of each direction, and their sum.
#include "philox.h"

enum { PULL_TOKENS = 2048 };

// pull_attention: the derivative of the row softmax(scale·q kᵀ) v, weighed by u, by its
// query (part 0), keys (1) or values (2), of one head of one image:
//
//	dv_t = p_t u    ds_t = p_t (u·v_t − Σ p (u·v)) scale    dq = Σ ds_t k_t    dk_t = ds_t q
//
// and in power, where it is not 0, Σ p² of each image and head.
// Grid: x is the head, y the image; 128 threads.
KERNEL(pull_attention, float *out, float *power, const float *q, const float *k, const float *v, const float *u,
       int tokens, int heads, int d, int part, float scale) {
	SHARED float p[PULL_TOKENS];
	SHARED float s[PULL_TOKENS];
	SHARED float mean[1];
	int width = heads * d, lane = TID % 32, warp = TID / 32;
	i64 row = (i64)BID_Y * width + BID_X * d, rows = (i64)BID_Y * tokens * width + BID_X * d;
	q += row;
	u += row;
	k += rows;
	v += rows;
	for (int t = warp; t < tokens; t += 4) {
		float a = 0.0f, b = 0.0f;
		for (int i = lane; i < d; i += 32) {
			a = fma32(q[i], k[(i64)t * width + i], a);
			b = fma32(u[i], v[(i64)t * width + i], b);
		}
		a = warp_sum(a);
		b = warp_sum(b);
		if (lane == 0) {
			p[t] = a * scale;
			s[t] = b;
		}
	}
	sync_block();
	if (warp == 0) {
		soften(p, tokens);
		float a = 0.0f, b = 0.0f;
		for (int t = lane; t < tokens; t += 32) {
			a = fma32(p[t], s[t], a);
			b = fma32(p[t], p[t], b);
		}
		a = warp_sum(a);
		b = warp_sum(b);
		if (lane == 0) {
			mean[0] = a;
			if (power)
				power[BID_Y * heads + BID_X] = b;
		}
	}
	sync_block();
	if (part == 0) {
		for (int i = TID; i < d; i += 128) {
			float a = 0.0f;
			for (int t = 0; t < tokens; t++)
				a = fma32(p[t] * (s[t] - mean[0]) * scale, k[(i64)t * width + i], a);
			out[row + i] = a;
		}
		return;
	}
	const float *x = part == 1 ? q : u;
	for (int i = TID; i < tokens * d; i += 128) {
		int t = i / d, c = i % d;
		float w = part == 1 ? p[t] * (s[t] - mean[0]) * scale : p[t];
		out[rows + (i64)t * width + c] = w * x[c];
	}
}

// noise_left: left[j] = coef[j] − ⟨ε_j, hat⟩ of each direction, hat of n values being
// that of its image, counted from image first; the sum is in float64.
// Grid: one block of 256 threads a direction.
KERNEL(noise_left, float *left, const float *coef, const float *hat, const int *image, const int *pair, u32 step,
       u32 site, int first, i64 n, int rademacher, u32 k0, u32 k1) {
	SHARED double part[256];
	int j = BID_X;
	u32 at_image = (u32)image[j], at_pair = (u32)pair[j];
	hat += (i64)(image[j] - first) * n;
	double sum = 0.0;
	for (i64 t = TID; t / 8 * 32 + t % 8 < n; t += 256) {
		i64 at = t / 8 * 32 + t % 8;
		normals e = noise_at((u32)t, at_pair, site, at_image, step, k0, k1, rademacher);
		float s = e.e0 * hat[at];
		s = at + 8 < n ? fma32(e.e1, hat[at + 8], s) : s;
		s = at + 16 < n ? fma32(e.e2, hat[at + 16], s) : s;
		s = at + 24 < n ? fma32(e.e3, hat[at + 24], s) : s;
		sum += (double)s;
	}
	part[TID] = sum;
	for (int h = 128; h > 0; h >>= 1) {
		sync_block();
		if (TID < h)
			part[TID] += part[TID + h];
	}
	if (TID == 0)
		left[j] = coef[j] - (float)part[0];
}

// mix: out = weight·a + share·b, n values an image, which has a weight.
// Grid: x covers n, y is the image.
KERNEL(mix, float *out, const float *a, const float *b, const float *weight, float share, i64 n) {
	i64 i = thread_at();
	if (i < n)
		out[BID_Y * n + i] = fma32(share, b[BID_Y * n + i], weight[BID_Y] * a[BID_Y * n + i]);
}

// slope_square is f'(x)².
KERNEL(slope_square, float *out, const float *x, i64 n, int function) {
	i64 i = thread_at();
	if (i < n) {
		float v = function_grad_f(x[i], function);
		out[i] = v * v;
	}
}
