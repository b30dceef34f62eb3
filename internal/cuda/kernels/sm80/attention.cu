// Attention of whole sequences in bf16: softmax(q kᵀ/√d) v of a head, with scores
// that never leave the registers (the online softmax of Milakov and Gimelshein
// 2018, arXiv 1805.02867, as FlashAttention uses it, Dao et al. 2022, arXiv
// 2205.14135). Sums and the softmax are float32.
#include "bf16.h"

// heap is where a row of a head stands in shared memory: D values, in pieces of 16
// bytes that change places from row to row, or with a piece of air after each row,
// so that eight rows of one column lie in different banks.
template <int D> struct heap {
	enum { PIECES = D / 8, TURN = D % 64 == 0, BYTES = TURN ? 2 * D : 2 * D + 16 };
	METHOD static int at(int row, int piece) { return row * BYTES + (TURN ? piece ^ (row & 7) : piece) * 16; }
};

// head is one head of one slot.
struct head {
	u16 *out;
	const u16 *q, *k, *v;
	int rows, tokens, d, ldq, ldk, ldo, room, groups;
	float scale; // of the scores, times log₂ e
};

// fetch begins to copy n rows from the first on, of keys or of values.
template <int D> DEVICE void fetch(char *to, const u16 *from, const head &g, int first, int n) {
	for (int i = TID; i < n * heap<D>::PIECES; i += THREADS) {
		int row = i / heap<D>::PIECES, piece = i % heap<D>::PIECES;
		bool there = first + row < g.tokens && 8 * piece < g.d;
		copy_begin(to + heap<D>::at(row, piece), there ? from + (i64)(first + row) * g.ldk + 8 * piece : from, there);
	}
}

// sixteen rows of queries, which a warp has: their values, the sums so far, and of
// each of the two rows of a lane the largest score and the sum of the exponentials.
template <int D> struct sixteen {
	u32 q[D / 16][4];
	float sum[D / 8][4], top[2], total[2];
};

template <int D> DEVICE void begin(sixteen<D> &r, const head &g, int row0) {
	int lane = TID % 32;
	UNROLL
	for (int s = 0; s < D / 16; s++)
		UNROLL
		for (int i = 0; i < 4; i++) {
			int row = row0 + lane / 4 + i % 2 * 8, col = 16 * s + lane % 4 * 2 + i / 2 * 8;
			r.q[s][i] = row < g.rows && col < g.d ? *(const u32 *)(g.q + (i64)row * g.ldq + col) : 0;
		}
	UNROLL
	for (int j = 0; j < D / 8; j++)
		UNROLL
		for (int i = 0; i < 4; i++)
			r.sum[j][i] = 0.0f;
	r.top[0] = r.top[1] = -__builtin_inff();
	r.total[0] = r.total[1] = 0.0f;
}

// take goes on with 16·STEP keys from a row of shared memory on, of which only so
// many are there where not WHOLE: at least one.
template <int D, int STEP, bool WHOLE> DEVICE void take(sixteen<D> &r, const head &g, const char *keys, const char *values, int row, int there) {
	int lane = TID % 32;
	float s[2 * STEP][4];
	UNROLL
	for (int j = 0; j < STEP; j++) {
		UNROLL
		for (int i = 0; i < 4; i++)
			s[2 * j][i] = s[2 * j + 1][i] = 0.0f;
		if (!WHOLE && 16 * j >= there)
			continue;
		UNROLL
		for (int t = 0; t < D / 16; t++) {
			u32 b[4];
			load_tiles(b, keys + heap<D>::at(row + 16 * j + lane / 16 * 8 + lane % 8, 2 * t + lane / 8 % 2));
			multiply_add(s[2 * j], r.q[t], b[0], b[1]);
			multiply_add(s[2 * j + 1], r.q[t], b[2], b[3]);
		}
	}
	if (!WHOLE)
		UNROLL
		for (int j = 0; j < 2 * STEP; j++)
			UNROLL
			for (int i = 0; i < 4; i++)
				if (8 * j + lane % 4 * 2 + i % 2 >= there)
					s[j][i] = -__builtin_inff();
	UNROLL
	for (int h = 0; h < 2; h++) {
		float top = r.top[h];
		UNROLL
		for (int j = 0; j < 2 * STEP; j++)
			top = __builtin_fmaxf(top, __builtin_fmaxf(s[j][2 * h], s[j][2 * h + 1]));
		top = quad_max(top);
		float low = -top * g.scale, shrink = exp2_near(fma32(r.top[h], g.scale, low)), total = r.total[h] * shrink;
		r.top[h] = top;
		UNROLL
		for (int j = 0; j < 2 * STEP; j++)
			UNROLL
			for (int i = 2 * h; i < 2 * h + 2; i++) {
				s[j][i] = exp2_near(fma32(s[j][i], g.scale, low));
				total += s[j][i];
			}
		r.total[h] = total;
		UNROLL
		for (int j = 0; j < D / 8; j++) {
			r.sum[j][2 * h] *= shrink;
			r.sum[j][2 * h + 1] *= shrink;
		}
	}
	UNROLL
	for (int j = 0; j < STEP; j++) {
		if (!WHOLE && 16 * j >= there)
			continue;
		u32 p[4]; // what a lane has of the scores is what it needs of the left factor
		UNROLL
		for (int i = 0; i < 4; i++)
			p[i] = bf16_pair(s[2 * j + i / 2][i % 2 * 2], s[2 * j + i / 2][i % 2 * 2 + 1]);
		UNROLL
		for (int t = 0; t < D / 16; t++) {
			u32 b[4];
			load_tiles_across(b, values + heap<D>::at(row + 16 * j + lane % 16, 2 * t + lane / 16));
			multiply_add(r.sum[2 * t], p, b[0], b[1]);
			multiply_add(r.sum[2 * t + 1], p, b[2], b[3]);
		}
	}
}

template <int D> DEVICE void finish_rows(sixteen<D> &r, const head &g, int row0) {
	int lane = TID % 32;
	UNROLL
	for (int h = 0; h < 2; h++) {
		float inv = 1.0f / quad_sum(r.total[h]);
		int row = row0 + lane / 4 + 8 * h;
		if (row < g.rows)
			UNROLL
			for (int j = 0; j < D / 8; j++) {
				int col = 8 * j + lane % 4 * 2;
				if (col < g.d)
					*(u32 *)(g.out + (i64)row * g.ldo + col) = bf16_pair(r.sum[j][2 * h] * inv, r.sum[j][2 * h + 1] * inv);
			}
	}
}

template <int D, int STEP> DEVICE void attend(const head &g) {
	char *keys = dynamic_shared(), *values = keys + g.room * heap<D>::BYTES;
	int warps = THREADS / 32, first = BID_X * g.groups, end = first + g.groups;
	bool resident = g.room >= g.tokens;
	if (resident) {
		fetch<D>(keys, g.k, g, 0, g.room);
		fetch<D>(values, g.v, g, 0, g.room);
		copy_group();
	}
	for (int at = first; at < end; at += warps) {
		int row0 = (at + TID / 32) * 16;
		bool mine = at + TID / 32 < end && row0 < g.rows;
		sixteen<D> r;
		if (mine)
			begin(r, g, row0);
		if (resident && at == first) {
			copy_all_wait();
			sync_block();
		}
		for (int base = 0; base < g.tokens; base += g.room) {
			if (!resident) {
				sync_block();
				fetch<D>(keys, g.k, g, base, g.room);
				fetch<D>(values, g.v, g, base, g.room);
				copy_group();
				copy_all_wait();
				sync_block();
			}
			if (!mine)
				continue;
			int n = g.tokens - base < g.room ? g.tokens - base : g.room, row = 0;
			for (; row + 16 * STEP <= n; row += 16 * STEP)
				take<D, STEP, true>(r, g, keys, values, row, 0);
			if (row < n)
				take<D, STEP, false>(r, g, keys, values, row, n - row);
		}
		if (mine)
			finish_rows(r, g, row0);
	}
}

// attention_D: heads of up to D values, a multiple of 8. A slot has so many rows of
// q and out, ldq and ldo values apart, and tokens of k and v, ldk apart. scale is
// that of the scores times log₂ e. The launch has shared memory for so many keys and
// values (room, a multiple of 16); a block takes so many groups of 16 rows.
// Grid: x covers the groups, y is the head, z the slot.
#define ATTENTION(D, STEP, BLOCKS)                                                                                            \
	KERNEL_MIN(128, BLOCKS, attention_##D, u16 *out, const u16 *q, const u16 *k, const u16 *v, int rows, int tokens, int d,  \
	           int ldq, int ldk, int ldo, float scale, int room, int groups) {                                             \
		i64 slot = BID_Z, at = (i64)BID_Y * d;                                                                                \
		head g = {out + slot * rows * ldo + at, q + slot * rows * ldq + at, k + slot * tokens * ldk + at,                   \
		          v + slot * tokens * ldk + at, rows, tokens, d, ldq, ldk, ldo, room, groups, scale};                     \
		attend<D, STEP>(g);                                                                                                \
	}
ATTENTION(32, 4, 4)
ATTENTION(64, 2, 4)
ATTENTION(80, 4, 3)
ATTENTION(128, 4, 2)
