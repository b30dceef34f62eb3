// Kernels that move and combine rows.
#include "mathf.h"

// patches cuts each C×high×wide image into rows of C·p·p values: channel, row,
// column. Pixels past the last whole patch are left out.
KERNEL(patches, float *out, const float *img, i64 n, int chans, int high, int wide, int p) {
	i64 i = thread_at();
	if (i >= n)
		return;
	int rows = high / p, columns = wide / p, len = chans * p * p;
	i64 row = i / len, slot = row / (rows * columns);
	int v = (int)(i % len), patch = (int)(row % (rows * columns));
	int c = v / (p * p), y = v / p % p, x = v % p;
	out[i] = img[((slot * chans + c) * high + patch / columns * p + y) * wide + patch % columns * p + x];
}

// embed writes rows of each slot's sequence of tokens rows, from row on: those of a
// parameter, or (slots) the slot's own, with their positions where there are any.
// Grid: x covers rows·width, y is the slot.
KERNEL(embed, float *out, const float *z, const float *pos, i64 n, int slots, i64 row, i64 tokens, int width) {
	i64 i = thread_at(), slot = BID_Y;
	if (i >= n)
		return;
	float v = z[(slots ? slot * n : 0) + i];
	out[(slot * tokens + row) * width + i] = pos ? v + pos[i] : v;
}

// gather copies n values of each slot: from the slot's image where index is
// given, from the slot elsewhere, and ld values apart in the source.
// Grid: x covers n, y is the slot.
KERNEL(gather, float *out, const float *x, const int *index, i64 n, i64 ld) {
	i64 i = thread_at(), slot = BID_Y;
	if (i < n)
		out[slot * n + i] = x[(index ? index[slot] : slot) * ld + i];
}

// spread writes each slot's n values among ld from at on, and zeros around them:
// the gradient of taking some rows. Grid: x covers ld, y is the slot.
KERNEL(spread, float *out, const float *x, i64 n, i64 ld, i64 at) {
	i64 i = thread_at(), slot = BID_Y;
	if (i < ld)
		out[slot * ld + i] = i >= at && i - at < n ? x[slot * n + i - at] : 0.0f;
}

// gather_rows takes rows of each slot, those that at lists, n values of them, of ld.
// Grid: x covers n, y is the slot.
KERNEL(gather_rows, float *out, const float *x, const int *at, i64 n, i64 ld, int width) {
	i64 i = thread_at(), slot = BID_Y;
	if (i < n)
		out[slot * n + i] = x[slot * ld + at[slot * (n / width) + i / width] * (i64)width + i % width];
}

// scatter_rows adds rows of each slot to zeros at the places that at lists: the
// gradient of taking them, in their order. Grid: x covers ld, y is the slot.
KERNEL(scatter_rows, float *out, const float *x, const int *at, i64 n, i64 ld, int width) {
	i64 i = thread_at(), slot = BID_Y;
	if (i >= ld)
		return;
	int rows = (int)(n / width), row = (int)(i / width);
	float s = 0.0f;
	for (int j = 0; j < rows; j++)
		if (at[slot * rows + j] == row)
			s += x[slot * n + (i64)j * width + i % width];
	out[slot * ld + i] = s;
}

KERNEL(activation, float *out, const float *x, i64 n, int function) {
	i64 i = thread_at();
	if (i < n)
		out[i] = function_f(x[i], function);
}

KERNEL(activation_grad, float *out, const float *x, const float *dy, i64 n, int function) {
	i64 i = thread_at();
	if (i < n)
		out[i] = dy[i] * function_grad_f(x[i], function);
}

KERNEL(add, float *out, const float *a, const float *b, i64 n) {
	i64 i = thread_at();
	if (i < n)
		out[i] = a[i] + b[i];
}

// scale is res + gamma∘x of rows of width values, n of them a slot; res 0: none.
// Grid: x covers n, y is the slot, whose image both may be read at.
KERNEL(scale, float *out, const float *x, const float *gamma, const float *res, const int *xi, const int *ri, i64 n, int width) {
	i64 i = thread_at(), slot = BID_Y;
	if (i >= n)
		return;
	float v = x[(xi ? xi[slot] : slot) * n + i] * gamma[i % width];
	out[slot * n + i] = res ? v + res[(ri ? ri[slot] : slot) * n + i] : v;
}

// combine is a·b, or with sum (a + b)/2, of n values a slot. Grid: x covers n, y is
// the slot, whose image both may be read at.
KERNEL(combine, float *out, const float *a, const float *b, const int *ai, const int *bi, i64 n, int sum) {
	i64 i = thread_at(), slot = BID_Y;
	if (i >= n)
		return;
	float x = a[(ai ? ai[slot] : slot) * n + i], y = b[(bi ? bi[slot] : slot) * n + i];
	out[slot * n + i] = sum ? (x + y) * 0.5f : x * y;
}

// halve is a/2.
KERNEL(halve, float *out, const float *a, i64 n) {
	i64 i = thread_at();
	if (i < n)
		out[i] = a[i] * 0.5f;
}

// pool is the mean of the rows from from on of each slot, after its first row where
// first. Grid: x covers the width, y is the slot.
KERNEL(pool, float *out, const float *x, int rows, int width, int from, int first) {
	i64 i = thread_at(), slot = BID_Y;
	if (i >= width)
		return;
	x += slot * rows * width;
	out += slot * width * (first ? 2 : 1);
	if (first) {
		out[i] = x[i];
		out += width;
	}
	float s = 0.0f;
	for (int r = from; r < rows; r++)
		s += x[(i64)r * width + i];
	out[i] = s * (1.0f / (float)(rows - from));
}

// pool_grad is its gradient. Grid: x covers rows·width, y is the slot.
KERNEL(pool_grad, float *dx, const float *dy, int rows, int width, int from, int first) {
	i64 i = thread_at(), slot = BID_Y;
	if (i >= (i64)rows * width)
		return;
	int row = (int)(i / width), c = (int)(i % width);
	dy += slot * width * (first ? 2 : 1);
	float v = first && row == 0 ? dy[c] : 0.0f;
	if (row >= from)
		v += dy[(first ? width : 0) + c] * (1.0f / (float)(rows - from));
	dx[slot * rows * width + i] = v;
}

// turn turns the rows from first on of each slot by their places among patches:
// the pair of k and k+d/2 of each head by 2π·place·theta^(−4(k mod d/4)/d), whose
// place is the patch's row for k < d/4 and its column above, from −1 to 1. sign −1
// turns back. Grid: x covers rows·heads·d/2, y is the slot.
KERNEL(turn, float *out, const float *x, i64 n, int width, int d, int first, int high, int wide, float log_theta, float sign) {
	i64 i = thread_at(), slot = BID_Y;
	if (i >= n)
		return;
	int half = d / 2, k = (int)(i % half), row = (int)(i / (width / 2)), head = (int)(i % (width / 2)) / half;
	i64 at = slot * n * 2 + (i64)row * width + head * d + k;
	float lo = x[at], hi = x[at + half];
	if (row >= first) {
		int p = row - first, quarter = half / 2;
		float place = k < quarter ? 2.0f * ((float)(p / wide) + 0.5f) / (float)high - 1.0f : 2.0f * ((float)(p % wide) + 0.5f) / (float)wide - 1.0f;
		float s, c;
		turns_f(place * exp_f(-4.0f * (float)(k % quarter) / (float)d * log_theta), s, c);
		s *= sign;
		float a = lo * c - hi * s, b = hi * c + lo * s;
		lo = a, hi = b;
	}
	out[at] = lo;
	out[at + half] = hi;
}

// distance is the row of a table of relative position biases that belongs to a row
// and a key of keys tokens, the last of which are high×wide patches; −1: none.
DEVICE int distance(int row, int key, int keys, int high, int wide) {
	int first = keys - high * wide, last = (2 * high - 1) * (2 * wide - 1) + 3;
	if (row == 0 && key == 0)
		return last - 1;
	if (row == 0)
		return key >= first ? last - 3 : -1;
	if (key == 0)
		return row >= first ? last - 2 : -1;
	if (row < first || key < first)
		return -1;
	row -= first, key -= first;
	return (row / wide - key / wide + high - 1) * (2 * wide - 1) + row % wide - key % wide + wide - 1;
}

// bias looks up what attention adds to its scores, for n pairs of row, from row lo
// on, and key. Grid: x covers n, y is the head.
KERNEL(bias, float *out, const float *table, i64 n, int heads, int lo, int keys, int high, int wide) {
	i64 i = thread_at(), head = BID_Y;
	if (i >= n)
		return;
	int at = distance(lo + (int)(i / keys), (int)(i % keys), keys, high, wide);
	out[head * n + i] = at < 0 ? 0.0f : table[(i64)at * heads + head];
}

// bias_grad sums its gradient for each entry of the table, in the order of the
// pairs. Grid: x covers the entries, y is the head.
KERNEL(bias_grad, float *dtable, const float *dy, i64 n, i64 entries, int heads, int lo, int keys, int high, int wide) {
	i64 e = thread_at(), head = BID_Y;
	if (e >= entries)
		return;
	float s = 0.0f;
	for (i64 i = 0; i < n; i++)
		if (distance(lo + (int)(i / keys), (int)(i % keys), keys, high, wide) == (int)e)
			s += dy[head * n + i];
	dtable[e * heads + head] = s;
}

// add_bias adds n values to each slot's. Grid: x covers n, y is the slot.
KERNEL(add_bias, float *x, const float *bias, i64 n) {
	i64 i = thread_at(), slot = BID_Y;
	if (i < n)
		x[slot * n + i] += bias[i];
}

// slot_sum adds up n values of all slots, times scale, in their order.
KERNEL(slot_sum, float *out, const float *x, i64 n, int slots, float scale, int accumulate) {
	i64 i = thread_at();
	if (i >= n)
		return;
	float s = 0.0f;
	for (i64 k = 0; k < slots; k++)
		s += x[k * n + i];
	out[i] = accumulate ? out[i] + s * scale : s * scale;
}

// epilogue finishes a GEMM that a library computed: c + bias, the activation
// function, + residual, whose rows are read at the slot's image where index is given.
// Grid: one block per row.
KERNEL(epilogue, float *c, const float *bias, const float *res, const int *index, int width, int rows, int function) {
	i64 row = BID_X;
	c += row * width;
	if (res)
		res += (index ? (i64)index[row / rows] * rows + row % rows : row) * width;
	int wide = width % 4 == 0 ? width / 4 : 0;
	for (int i = TID; i < wide; i += THREADS) {
		f4 v = ((f4 *)c)[i];
		if (bias)
			v += ((const f4 *)bias)[i];
		if (function)
			UNROLL
			for (int j = 0; j < 4; j++)
				v[j] = function_f(v[j], function);
		if (res)
			v += ((const f4 *)res)[i];
		((f4 *)c)[i] = v;
	}
	for (int i = 4 * wide + TID; i < width; i += THREADS) {
		float v = bias ? c[i] + bias[i] : c[i];
		v = function_f(v, function);
		c[i] = res ? v + res[i] : v;
	}
}
