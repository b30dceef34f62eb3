// GEMM in float32, batched, with the epilogue of a linear map: the kernel used
// where cuBLAS is absent. Every element is one chain of fused multiply-adds over
// k, so that its bits depend neither on the tile nor on its neighbours.
#include "mathf.h"

struct problem {
	float *c;
	const float *a, *b;
	int m, n, k, lda, ldb, ldc;
	float alpha;
	int accumulate;
};

// load4 reads four neighbours along a row, zero outside rows×cols.
DEVICE f4 load4(const float *p, i64 ld, int row, int col, int rows, int cols, bool whole) {
	f4 v = {0.0f, 0.0f, 0.0f, 0.0f};
	if (row >= rows || col >= cols)
		return v;
	p += row * ld + col;
	if (whole && col + 4 <= cols)
		return *(const f4 *)p;
	v[0] = p[0];
	if (col + 1 < cols)
		v[1] = p[1];
	if (col + 2 < cols)
		v[2] = p[2];
	if (col + 3 < cols)
		v[3] = p[3];
	return v;
}

DEVICE bool aligned(const float *p, int ld) { return ((u64)p & 15) == 0 && ld % 4 == 0; }

// operand is one of A and B in tiles of SIZE rows (of op(A), or of op(B)ᵀ) by
// DEPTH along k. ALONG: memory runs along k, so that a thread's four values go
// to four rows of the shared tile.
template <int SIZE, int DEPTH, bool ALONG> struct operand {
	const float *p;
	int ld, size, k, row0;
	bool whole;
	METHOD static int row() { return ALONG ? TID / (DEPTH / 4) : TID % (SIZE / 4) * 4; }
	METHOD static int col() { return ALONG ? TID % (DEPTH / 4) * 4 : TID / (SIZE / 4); }
	METHOD f4 load(int k0) const {
		return ALONG ? load4(p, ld, row0 + row(), k0 + col(), size, k, whole)
		             : load4(p, ld, k0 + col(), row0 + row(), k, size, whole);
	}
	METHOD static void store(float (*tile)[SIZE + 4], f4 v) {
		int r = row(), c = col();
		if (ALONG)
			UNROLL
			for (int i = 0; i < 4; i++)
				tile[c + i][r] = v[i];
		else
			*(f4 *)&tile[c][r] = v;
	}
};

// block_product computes one SIZE×SIZE tile of C with 256 threads, each of
// PER×PER elements in groups of four.
template <int SIZE, int DEPTH, int PER, bool TA, bool TB>
DEVICE void block_product(const problem &g, int row0, int col0, float (&acc)[PER][PER]) {
	SHARED __attribute__((aligned(16))) float as[2][DEPTH][SIZE + 4];
	SHARED __attribute__((aligned(16))) float bs[2][DEPTH][SIZE + 4];
	operand<SIZE, DEPTH, !TA> a = {g.a, g.lda, g.m, g.k, row0, aligned(g.a, g.lda)};
	operand<SIZE, DEPTH, TB> b = {g.b, g.ldb, g.n, g.k, col0, aligned(g.b, g.ldb)};
	const int across = SIZE / PER, step = across * 4;
	int tx = TID % across, ty = TID / across, now = 0;
	a.store(as[0], a.load(0));
	b.store(bs[0], b.load(0));
	sync_block();
	for (int k0 = 0; k0 < g.k; k0 += DEPTH) {
		bool more = k0 + DEPTH < g.k;
		f4 na = {}, nb = {};
		if (more) {
			na = a.load(k0 + DEPTH);
			nb = b.load(k0 + DEPTH);
		}
		UNROLL
		for (int k = 0; k < DEPTH; k++) {
			f4 x[PER / 4], y[PER / 4];
			UNROLL
			for (int i = 0; i < PER / 4; i++) {
				x[i] = shared4(&as[now][k][i * step + ty * 4]);
				y[i] = shared4(&bs[now][k][i * step + tx * 4]);
			}
			UNROLL
			for (int i = 0; i < PER; i++)
				UNROLL
				for (int j = 0; j < PER; j++)
					acc[i][j] = fma32(x[i / 4][i % 4], y[j / 4][j % 4], acc[i][j]);
		}
		if (more) {
			a.store(as[now ^ 1], na);
			b.store(bs[now ^ 1], nb);
		}
		now ^= 1;
		sync_block();
	}
}

// finish is the epilogue of an element: alpha·acc, + C where accumulate, +
// bias, the activation function, + residual.
struct finish {
	const float *bias, *res;
	const int *index;
	int rows, function;
};

template <int SIZE, int DEPTH, int PER, bool TA, bool TB, bool FINISH>
DEVICE void gemm_tile(const problem &g, const finish &f) {
	int row0 = BID_Y * SIZE, col0 = BID_X * SIZE;
	float acc[PER][PER];
	UNROLL
	for (int i = 0; i < PER; i++)
		UNROLL
		for (int j = 0; j < PER; j++)
			acc[i][j] = 0.0f;
	block_product<SIZE, DEPTH, PER, TA, TB>(g, row0, col0, acc);
	const int across = SIZE / PER, step = across * 4;
	int tx = TID % across, ty = TID / across;
	UNROLL
	for (int i = 0; i < PER; i++) {
		int r = row0 + i / 4 * step + ty * 4 + i % 4;
		if (r >= g.m)
			continue;
		float *c = g.c + (i64)r * g.ldc;
		const float *res = 0;
		if (FINISH && f.res)
			res = f.res + (f.index ? (i64)f.index[r / f.rows] * f.rows + r % f.rows : r) * g.ldc;
		UNROLL
		for (int j = 0; j < PER; j++) {
			int n = col0 + j / 4 * step + tx * 4 + j % 4;
			if (n >= g.n)
				continue;
			float v = g.alpha * acc[i][j];
			if (g.accumulate)
				v += c[n];
			if (FINISH) {
				if (f.bias)
					v += f.bias[n];
				v = function_f(v, f.function);
				if (res)
					v += res[n];
			}
			c[n] = v;
		}
	}
}

// A batch is slots × heads products: slot s and head h stand at
// slot·stride + h·head in each operand, the slot of A and B looked up where an
// index is given. The epilogue belongs to x Wᵀ alone (nt).
#define GEMM(name, size, depth, per, ta, tb)                                                                                      \
	KERNEL_OF(256, name, float *c, const float *a, const float *b, int m, int n, int k, int lda, int ldb, int ldc, float alpha,  \
	          int accumulate, const float *bias, int function, const float *res, const int *index, int rows, int heads, i64 sc,      \
	          i64 sa, i64 sb, i64 hc, i64 ha, i64 hb, const int *ia, const int *ib) {                                            \
		i64 slot = BID_Z / heads, head = BID_Z % heads;                                                                          \
		problem g = {c + slot * sc + head * hc, a + (ia ? ia[slot] : slot) * sa + head * ha,                                     \
		             b + (ib ? ib[slot] : slot) * sb + head * hb, m, n, k, lda, ldb, ldc, alpha, accumulate};                    \
		finish f = {bias, res, index, rows, function};                                                                               \
		gemm_tile<size, depth, per, ta, tb, !ta && tb>(g, f);                                                                         \
	}

GEMM(gemm_nt_64, 64, 16, 4, false, true)
GEMM(gemm_nn_64, 64, 16, 4, false, false)
GEMM(gemm_tn_64, 64, 16, 4, true, false)
GEMM(gemm_nt_128, 128, 8, 8, false, true)
GEMM(gemm_nn_128, 128, 8, 8, false, false)
GEMM(gemm_tn_128, 128, 8, 8, true, false)

// gemm_pointers lists the operands of a batch for cuBLAS, which takes one
// address per product: out is three arrays of slots·heads addresses, A, B, C.
KERNEL(gemm_pointers, u64 *out, float *c, const float *a, const float *b, int count, int heads, i64 sc, i64 sa, i64 sb, i64 hc,
       i64 ha, i64 hb, const int *ia, const int *ib) {
	i64 z = thread_at();
	if (z >= count)
		return;
	i64 slot = z / heads, head = z % heads;
	out[z] = (u64)(a + (ia ? ia[slot] : slot) * sa + head * ha);
	out[count + z] = (u64)(b + (ib ? ib[slot] : slot) * sb + head * hb);
	out[2 * (i64)count + z] = (u64)(c + slot * sc + head * hc);
}
