// Steps of the optimizers (query.Rule): one float32 operation after another, as package
// optim computes them, so that the weights have the processor's bits. Each writes the
// weight's copy in bf16 where there is one, and notes in bad what is no finite number.
#include "mathf.h"

// moved writes a weight.
DEVICE void moved(float *w, unsigned short *half, int *bad, i64 i, float v) {
	w[i] = v;
	if (half)
		half[i] = bf16_nearest(v);
	if (v - v != 0.0f)
		*bad = 1;
}

KERNEL(adamw_step, float *w, unsigned short *half, const float *grad, float *m, float *v, int *bad, float b1, float c1, float b2,
       float c2, float rate, float fix, float eps, float keep, float scale, i64 n) {
	i64 i = thread_at();
	if (i >= n)
		return;
	float g = grad[i] * scale, a = b1 * m[i] + c1 * g, s = b2 * v[i] + c2 * g * g;
	m[i] = a;
	v[i] = s;
	moved(w, half, bad, i, keep * w[i] - rate * a / (sqrt_rn(s) * fix + eps));
}

KERNEL(sgd_step, float *w, unsigned short *half, const float *grad, float *v, int *bad, float mu, float rate, float keep,
       float scale, i64 n) {
	i64 i = thread_at();
	if (i >= n)
		return;
	float a = mu * v[i] + grad[i] * scale;
	v[i] = a;
	moved(w, half, bad, i, keep * w[i] - rate * a);
}

KERNEL(look_ahead_step, float *w, unsigned short *half, const float *grad, float *m, int *bad, float mu, float rate, float keep,
       float next, float scale, i64 n) {
	i64 i = thread_at();
	if (i >= n)
		return;
	float last = mu * m[i], a = last - rate * (grad[i] * scale);
	m[i] = a;
	moved(w, half, bad, i, keep * w[i] - last + next * a);
}

// muon_average: m ← mu·m + c·g, and in out where the step looks.
KERNEL(muon_average, float *out, const float *grad, float *m, float mu, float c, int look, float scale, i64 n) {
	i64 i = thread_at();
	if (i >= n)
		return;
	float g = grad[i] * scale, a = mu * m[i] + c * g;
	m[i] = a;
	out[i] = look ? mu * a + c * g : a;
}

// muon_step: w ← keep·w − rate·u.
KERNEL(muon_step, float *w, unsigned short *half, const float *u, int *bad, float keep, float rate, i64 n) {
	i64 i = thread_at();
	if (i < n)
		moved(w, half, bad, i, keep * w[i] - rate * u[i]);
}

enum { SQUARES = 1 << 16 };

// square_sums: out[b] is Σ x² of the b-th 65,536 values, in float64.
// Grid: a block of 256 threads each.
KERNEL(square_sums, double *out, const float *x, i64 n) {
	SHARED double part[256];
	i64 lo = (i64)BID_X * SQUARES, hi = lo + SQUARES < n ? lo + SQUARES : n;
	double s = 0.0;
	for (i64 i = lo + TID; i < hi; i += 256)
		s += (double)x[i] * (double)x[i];
	part[TID] = s;
	for (int h = 128; h > 0; h >>= 1) {
		sync_block();
		if (TID < h)
			part[TID] += part[TID + h];
	}
	if (TID == 0)
		out[BID_X] = part[0];
}

// unit divides n values by their norm, the root of the sum of count numbers; zeros stay.
KERNEL(unit, float *x, const double *squares, int count, i64 n) {
	i64 i = thread_at();
	if (i >= n)
		return;
	double s = 0.0;
	for (int k = 0; k < count; k++)
		s += squares[k];
	if (s > 0.0)
		x[i] = (float)((double)x[i] / sqrt_rn64(s));
}

// times is x·by.
KERNEL(times, float *out, const float *x, float by, i64 n) {
	i64 i = thread_at();
	if (i < n)
		out[i] = x[i] * by;
}
