// Attention of one query row under noise at the query, at the keys or at the values,
// whose numbers are made in registers and never stored. Scores are linear in q and
// in k, and the result is linear in v: with s, p and y those of the clean row,
//
//	noise at q:  s ± σ·scale·(ε·k)    at k:  s ± σ·scale·(q·ε)    at v:  y ± σ·Σ p ε
//
// so that the two signs of an antithetic pair share everything but their softmax,
// and their difference is not one of rounded sums.
#include "philox.h"

enum { NOISY_TOKENS = 1024, NOISY_THREADS = 128 };
enum { AT_QUERY, AT_KEY, AT_VALUE };

// stored is the clean row of an image, heads of d values, and the direction.
struct stored {
	const float *q, *k, *v;
	int tokens, heads, d, offset;
	float scale;
	u32 pair, site, image, step, k0, k1;
	int rademacher;
};

// A head is d/32 groups of 32 numbers of the generator, whose eight threads have
// four each, 8 apart: d/4 threads (a slice) per token, each with the columns from
// column() on.
DEVICE int column(int slice) { return TID % slice / 8 * 32 + TID % 8; }

DEVICE normals numbers(const stored &g, int slice, i64 at) {
	return noise_at((u32)(at / 32 * 8 + TID % slice / 8 * 8 + TID % 8), g.pair, g.site, g.image, g.step, g.k0, g.k1, g.rademacher);
}

DEVICE float dot4(const normals &a, const normals &b) { return fma32(a.e0, b.e0, fma32(a.e1, b.e1, fma32(a.e2, b.e2, a.e3 * b.e3))); }
DEVICE normals four(const float *p) { return normals{p[0], p[8], p[16], p[24]}; }
DEVICE void add4(normals &s, float c, const normals &v) {
	s.e0 = fma32(c, v.e0, s.e0);
	s.e1 = fma32(c, v.e1, s.e1);
	s.e2 = fma32(c, v.e2, s.e2);
	s.e3 = fma32(c, v.e3, s.e3);
}

// sum_slice adds over the threads of a token.
DEVICE float sum_slice(float v, int slice) {
	for (int m = slice / 2; m > 0; m >>= 1)
		v += shuffle_xor(v, m);
	return v;
}

// noisy_row writes the row under noise of scale c to out, and that of scale −c to
// other, where there is one.
template <int AT> DEVICE void noisy_row(float *out, float *other, const stored &g, float c) {
	SHARED float p[2][NOISY_TOKENS];
	SHARED float part[2][4 * NOISY_THREADS];
	int slice = g.d / 4, mine = TID / slice, per = NOISY_THREADS / slice, width = g.heads * g.d, col = column(slice);
	i64 head = (i64)BID_X * g.d, rows = (i64)g.image * g.tokens * width + head + col;
	const float *k = g.k + rows, *v = g.v + rows;
	normals q = four(g.q + (i64)g.image * width + head + col), e = {0.0f, 0.0f, 0.0f, 0.0f};
	if (AT == AT_QUERY)
		e = numbers(g, slice, head);
	for (int base = 0; base < g.tokens; base += per) {
		int t = base + mine;
		float s = 0.0f, x = 0.0f;
		if (t < g.tokens) {
			normals row = four(k + (i64)t * width);
			s = dot4(q, row);
			if (AT == AT_QUERY)
				x = dot4(e, row);
			if (AT == AT_KEY && t >= g.offset)
				x = dot4(q, numbers(g, slice, (i64)(t - g.offset) * width + head));
		}
		s = sum_slice(s, slice) * g.scale;
		if (AT != AT_VALUE)
			x = sum_slice(x, slice) * (c * g.scale);
		if (t < g.tokens && TID % slice == 0) {
			p[0][t] = s + x;
			p[1][t] = s - x;
		}
	}
	sync_block();
	if (TID < (AT == AT_VALUE ? 32 : 64))
		soften(p[TID / 32], g.tokens);
	sync_block();
	normals a = {0.0f, 0.0f, 0.0f, 0.0f}, b = a;
	for (int t = mine; t < g.tokens; t += per) {
		normals row = four(v + (i64)t * width);
		add4(a, p[0][t], row);
		if (AT != AT_VALUE)
			add4(b, p[1][t], row);
		else if (t >= g.offset)
			add4(b, p[0][t], numbers(g, slice, (i64)(t - g.offset) * width + head));
	}
	float *pa = part[0] + mine * g.d + col, *pb = part[1] + mine * g.d + col;
	pa[0] = a.e0;
	pa[8] = a.e1;
	pa[16] = a.e2;
	pa[24] = a.e3;
	pb[0] = b.e0;
	pb[8] = b.e1;
	pb[16] = b.e2;
	pb[24] = b.e3;
	sync_block();
	if (TID >= g.d)
		return;
	float y = part[0][TID], z = part[1][TID];
	for (int i = 1; i < per; i++) {
		y += part[0][i * g.d + TID];
		z += part[1][i * g.d + TID];
	}
	if (AT == AT_VALUE) {
		float x = c * z;
		z = y - x;
		y += x;
	}
	out[head + TID] = y;
	if (other)
		other[head + TID] = z;
}

// noisy_query, noisy_key, noisy_value: attention_row of the stored q, k and v at a
// slot's image, under the slot's noise, which the first offset rows of k or v do not
// carry. Heads of 32, 64 or 128 values. Where paired, slots 2y and 2y+1 are the two
// signs of one direction.
// Grid: x is the head, y the slot or pair of slots.
#define NOISY(name, at)                                                                                                        \
	KERNEL_OF(NOISY_THREADS, name, float *out, const float *q, const float *k, const float *v, const int *image, const int *pair, \
	          const int *sign, const float *sigma, const u32 *step, u32 site, int tokens, int heads, int d, int offset,            \
	          float scale, int paired, int rademacher, u32 k0, u32 k1) {                                                        \
		int slot = paired ? 2 * BID_Y : BID_Y;                                                                                  \
		stored g = {q, k, v, tokens, heads, d, offset, scale, (u32)pair[slot], site, (u32)image[slot], *step, k0, k1, rademacher}; \
		float *row = out + (i64)slot * heads * d;                                                                              \
		noisy_row<at>(row, paired ? row + heads * d : 0, g, (float)sign[slot] * sigma[site]);                                    \
	}
NOISY(noisy_query, AT_QUERY)
NOISY(noisy_key, AT_KEY)
NOISY(noisy_value, AT_VALUE)

// levels makes the images of the slots of bytes: out = table[channel][level], of the
// slot's image. A thread takes four neighbours of the plane, a multiple of 4.
// Grid: x covers an image's values by fours, y is the slot.
KERNEL(levels, float *out, const unsigned char *bytes, const float *table, const int *image, i64 n, i64 plane) {
	i64 i = 4 * thread_at(), slot = BID_Y;
	if (i >= n)
		return;
	const float *t = table + i / plane * 256;
	u32 w = *(const u32 *)(bytes + (i64)image[slot] * n + i);
	*(f4 *)(out + slot * n + i) = f4{t[w & 255], t[w >> 8 & 255], t[w >> 16 & 255], t[w >> 24]};
}
