// Kernels that move and combine rows.
#include "mathf.h"

// patches cuts each C×H×H image into rows of C·p·p values: channel, row, column.
KERNEL(patches, float *out, const float *img, i64 n, int chans, int side, int p) {
	i64 i = thread_at();
	if (i >= n)
		return;
	int grid = side / p, len = chans * p * p;
	i64 row = i / len, slot = row / (grid * grid);
	int v = (int)(i % len), patch = (int)(row % (grid * grid));
	int c = v / (p * p), y = v / p % p, x = v % p;
	out[i] = img[((slot * chans + c) * side + patch / grid * p + y) * side + patch % grid * p + x];
}

// embed assembles the sequence of each slot: cls token and position 0, prompts,
// and each patch with its position. tokens = 1 + prompts + patches.
KERNEL(embed, float *out, const float *z, const float *cls, const float *pos, const float *prompts, i64 n, int tokens, int patches, int width) {
	i64 i = thread_at();
	if (i >= n)
		return;
	int c = (int)(i % width), t = (int)(i / width % tokens);
	i64 slot = i / width / tokens;
	int first = tokens - patches;
	if (t == 0)
		out[i] = cls[c] + pos[c];
	else if (t < first)
		out[i] = prompts[(i64)(t - 1) * width + c];
	else
		out[i] = z[(slot * patches + t - first) * width + c] + pos[(i64)(t - first + 1) * width + c];
}

// gather copies n values of each slot: from the slot's image where index is
// given, from the slot elsewhere, and ld values apart in the source.
// Grid: x covers n, y is the slot.
KERNEL(gather, float *out, const float *x, const int *index, i64 n, i64 ld) {
	i64 i = thread_at(), slot = BID_Y;
	if (i < n)
		out[slot * n + i] = x[(index ? index[slot] : slot) * ld + i];
}

// spread writes each slot's n values before ld−n zeros: the gradient of taking
// the first row. Grid: x covers ld, y is the slot.
KERNEL(spread, float *out, const float *x, i64 n, i64 ld) {
	i64 i = thread_at(), slot = BID_Y;
	if (i < ld)
		out[slot * ld + i] = i < n ? x[slot * n + i] : 0.0f;
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
