// Kernels that make and use noise. One thread makes the four elements of one
// generator block; eight neighbours fill 32 elements.
#include "philox.h"

DEVICE void place(float *out, i64 at, i64 n, float v, int function) {
	if (at < n)
		out[at] = function_f(v, function);
}

DEVICE float element(const float *z, i64 at, i64 n) { return at < n ? z[at] : 0.0f; }

// perturb: out = z + sign·σ·ε for each slot, then the activation function. The first offset rows of
// a slot carry no noise, nor do those after the live ones. z is read at the slot's image where indexed.
// Grid: x covers a slot's live rows (8 threads per 32 elements), y is the slot.
KERNEL(perturb, float *out, const float *z, const int *image, const int *pair, const int *sign, const float *sigma,
       const u32 *step, u32 site, int rows, int width, int offset, int live, int indexed, int function, int rademacher, u32 k0, u32 k1) {
	int slot = BID_Y;
	i64 size = (i64)rows * width, head = (i64)offset * width, n = (i64)live * width, t = thread_at();
	z += (indexed ? image[slot] : slot) * size;
	out += slot * size;
	for (i64 i = t; i < head; i += (i64)GRID_X * THREADS)
		place(out, i, head, z[i], function);
	for (i64 i = head + n + t; i < size; i += (i64)GRID_X * THREADS)
		place(out, i, size, z[i], function);
	i64 at = t / 8 * 32 + t % 8;
	if (at >= n)
		return;
	z += head;
	out += head;
	normals e = noise_at((u32)t, (u32)pair[slot], site, (u32)image[slot], *step, k0, k1, rademacher);
	float c = (float)sign[slot] * sigma[site];
	place(out, at, n, fma32(c, e.e0, element(z, at, n)), function);
	place(out, at + 8, n, fma32(c, e.e1, element(z, at + 8, n)), function);
	place(out, at + 16, n, fma32(c, e.e2, element(z, at + 16, n)), function);
	place(out, at + 24, n, fma32(c, e.e3, element(z, at + 24, n)), function);
}

// noise_sum: row r of out becomes Σ_j coef_j ε_j over the terms
// first[r] ≤ j < first[r+1], added in their order: E_i of docs/method.md (7).
// Grid: x covers n, y is the row.
KERNEL(noise_sum, float *out, const int *first, const int *image, const int *pair, const float *coef, u32 step, u32 site,
       i64 n, int rademacher, u32 k0, u32 k1) {
	i64 t = thread_at(), at = t / 8 * 32 + t % 8;
	int r = BID_Y;
	if (at >= n)
		return;
	normals s = {0.0f, 0.0f, 0.0f, 0.0f};
	for (int j = first[r]; j < first[r + 1]; j++) {
		normals e = noise_at((u32)t, (u32)pair[j], site, (u32)image[j], step, k0, k1, rademacher);
		float c = coef[j];
		s.e0 = fma32(c, e.e0, s.e0);
		s.e1 = fma32(c, e.e1, s.e1);
		s.e2 = fma32(c, e.e2, s.e2);
		s.e3 = fma32(c, e.e3, s.e3);
	}
	out += r * n;
	place(out, at, n, s.e0, 0);
	place(out, at + 8, n, s.e1, 0);
	place(out, at + 16, n, s.e2, 0);
	place(out, at + 24, n, s.e3, 0);
}

// share is a parameter among those that weights_noise writes: its bf16 copy, which may
// be 0, its values and number, and the grid's block that it begins at.
struct share {
	float *out;
	const float *z;
	unsigned short *half;
	i64 n;
	u32 image, first;
};

DEVICE void rounded(unsigned short *half, i64 at, i64 n, float v) {
	if (at < n)
		half[at] = bf16_nearest(v);
}

// weights_noise: out = z + Σ_j coef_j ε_j over all terms, of count parameters, whose
// numbers stand in the counter's image. z may be out, or 0 for zeros.
// Grid: x covers the parameters in their order, whole blocks each.
KERNEL(weights_noise, const share *shares, int count, const int *pair, const float *coef, int terms, u32 step, u32 site,
       int rademacher, u32 k0, u32 k1) {
	int lo = 0, hi = count - 1;
	while (lo < hi) { // the last that begins at this block or before
		int mid = (lo + hi + 1) / 2;
		if ((int)shares[mid].first <= BID_X)
			lo = mid;
		else
			hi = mid - 1;
	}
	share p = shares[lo];
	i64 t = (i64)(BID_X - (int)p.first) * THREADS + TID, at = t / 8 * 32 + t % 8;
	if (at >= p.n)
		return;
	normals s = {0.0f, 0.0f, 0.0f, 0.0f};
	if (p.z)
		s = normals{element(p.z, at, p.n), element(p.z, at + 8, p.n), element(p.z, at + 16, p.n), element(p.z, at + 24, p.n)};
	for (int j = 0; j < terms; j++) {
		normals e = noise_at((u32)t, (u32)pair[j], site, p.image, step, k0, k1, rademacher);
		float c = coef[j];
		s.e0 = fma32(c, e.e0, s.e0);
		s.e1 = fma32(c, e.e1, s.e1);
		s.e2 = fma32(c, e.e2, s.e2);
		s.e3 = fma32(c, e.e3, s.e3);
	}
	place(p.out, at, p.n, s.e0, 0);
	place(p.out, at + 8, p.n, s.e1, 0);
	place(p.out, at + 16, p.n, s.e2, 0);
	place(p.out, at + 24, p.n, s.e3, 0);
	if (!p.half)
		return;
	rounded(p.half, at, p.n, s.e0);
	rounded(p.half, at + 8, p.n, s.e1);
	rounded(p.half, at + 16, p.n, s.e2);
	rounded(p.half, at + 24, p.n, s.e3);
}
