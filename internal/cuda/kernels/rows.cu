// Kernels that reduce rows. One warp takes one row; a block of n threads takes
// n/32 rows.
#include "mathf.h"

DEVICE i64 warp_row() { return (i64)BID_X * (THREADS / 32) + TID / 32; }

// statistics of a row: its mean, and 1/√(variance + eps) about it.
DEVICE void moments(const float *x, int d, float eps, float &mean, float &rstd) {
	int lane = TID % 32;
	float s = 0.0f;
	for (int i = lane; i < d; i += 32)
		s += x[i];
	mean = warp_sum(s) / (float)d;
	s = 0.0f;
	for (int i = lane; i < d; i += 32) {
		float v = x[i] - mean;
		s = fma32(v, v, s);
	}
	rstd = 1.0f / sqrt_rn(warp_sum(s) / (float)d + eps);
}

// layer_norm: (x − mean)·rstd·gamma + beta of each row.
KERNEL(layer_norm, float *out, const float *x, const float *gamma, const float *beta, i64 rows, int d, float eps) {
	i64 r = warp_row();
	if (r >= rows)
		return;
	x += r * d;
	out += r * d;
	float mean, rstd;
	moments(x, d, eps, mean, rstd);
	for (int i = TID % 32; i < d; i += 32)
		out[i] = fma32((x[i] - mean) * rstd, gamma[i], beta[i]);
}

// norm_grad: dx = rstd·(g − avg g − x̂·avg(g x̂)) with g = dy·gamma, and in
// scaled the product dy·x̂, whose column sums are gamma's gradient. Either may
// be absent.
KERNEL(norm_grad, float *dx, float *scaled, const float *dy, const float *x, const float *gamma, i64 rows, int d, float eps) {
	i64 r = warp_row();
	if (r >= rows)
		return;
	x += r * d;
	dy += r * d;
	int lane = TID % 32;
	float mean, rstd, sg = 0.0f, sgx = 0.0f;
	moments(x, d, eps, mean, rstd);
	for (int i = lane; i < d; i += 32) {
		float g = dy[i] * gamma[i], h = (x[i] - mean) * rstd;
		sg += g;
		sgx = fma32(g, h, sgx);
		if (scaled)
			scaled[r * d + i] = dy[i] * h;
	}
	if (!dx)
		return;
	sg = warp_sum(sg) / (float)d;
	sgx = warp_sum(sgx) / (float)d;
	for (int i = lane; i < d; i += 32)
		dx[r * d + i] = rstd * (dy[i] * gamma[i] - sg - (x[i] - mean) * rstd * sgx);
}

// softmax of each row of length n, in place.
KERNEL(softmax, float *x, i64 rows, int n) {
	i64 r = warp_row();
	if (r >= rows)
		return;
	x += r * n;
	int lane = TID % 32;
	float top = -__builtin_inff(), sum = 0.0f;
	for (int i = lane; i < n; i += 32)
		top = x[i] > top ? x[i] : top;
	top = warp_max(top);
	for (int i = lane; i < n; i += 32) {
		float e = exp_f(x[i] - top);
		x[i] = e;
		sum += e;
	}
	float inv = 1.0f / warp_sum(sum);
	for (int i = lane; i < n; i += 32)
		x[i] *= inv;
}

// softmax_grad: dp becomes p·(dp − Σ p·dp)·scale, in place.
KERNEL(softmax_grad, float *dp, const float *p, i64 rows, int n, float scale) {
	i64 r = warp_row();
	if (r >= rows)
		return;
	dp += r * n;
	p += r * n;
	int lane = TID % 32;
	float s = 0.0f;
	for (int i = lane; i < n; i += 32)
		s = fma32(p[i], dp[i], s);
	s = warp_sum(s);
	for (int i = lane; i < n; i += 32)
		dp[i] = p[i] * (dp[i] - s) * scale;
}

// exp_sum is the row's maximum and Σ e^(x − maximum).
DEVICE float exp_sum(const float *x, int n, float &top) {
	float sum = 0.0f;
	top = -__builtin_inff();
	for (int i = TID % 32; i < n; i += 32)
		top = x[i] > top ? x[i] : top;
	top = warp_max(top);
	for (int i = TID % 32; i < n; i += 32)
		sum += exp_f(x[i] - top);
	return warp_sum(sum);
}

// cross_entropy: −log softmax(row)[label].
KERNEL(cross_entropy, float *out, const float *logits, const int *labels, i64 rows, int n) {
	i64 r = warp_row();
	if (r >= rows)
		return;
	float top, sum = exp_sum(logits + r * n, n, top);
	if (TID % 32 == 0)
		out[r] = log_f(sum) + (top - logits[r * n + labels[r]]);
}

// cross_entropy_grad: weight·(softmax(row) − onehot(label)).
KERNEL(cross_entropy_grad, float *out, const float *logits, const int *labels, const float *weight, i64 rows, int n) {
	i64 r = warp_row();
	if (r >= rows)
		return;
	float top, inv = 1.0f / exp_sum(logits + r * n, n, top);
	for (int i = TID % 32; i < n; i += 32) {
		float p = exp_f(logits[r * n + i] - top) * inv;
		out[r * n + i] = weight[r] * (i == labels[r] ? p - 1.0f : p);
	}
}

// sum_sq: out[i] = extra + Σ x² over the n values of image i, in float64.
// Grid: one block of 256 threads per image.
KERNEL(sum_sq, float *out, const float *x, i64 n, float extra) {
	SHARED double part[256];
	x += BID_X * n;
	double s = 0.0;
	for (i64 i = TID; i < n; i += 256)
		s += (double)x[i] * (double)x[i];
	part[TID] = s;
	for (int h = 128; h > 0; h >>= 1) {
		sync_block();
		if (TID < h)
			part[TID] += part[TID + h];
	}
	if (TID == 0)
		out[BID_X] = (float)(part[0] + (double)extra);
}

// column_sum: row y of out is the sum of rows y·chunk .. y·chunk+chunk−1 of x,
// whose rows are ld apart; added to out where accumulate. Two passes of it sum
// a tall matrix in a fixed order.
// Grid: x covers width in steps of 32, y the chunks; 256 threads.
KERNEL(column_sum, float *out, const float *x, i64 rows, i64 width, i64 ld, i64 chunk, int accumulate) {
	SHARED float part[8][32];
	int lane = TID % 32, w = TID / 32;
	i64 c = (i64)BID_X * 32 + lane, lo = BID_Y * chunk, hi = lo + chunk < rows ? lo + chunk : rows;
	float s = 0.0f;
	if (c < width)
		for (i64 r = lo + w; r < hi; r += 8)
			s += x[r * ld + c];
	part[w][lane] = s;
	sync_block();
	if (w != 0 || c >= width)
		return;
	for (int i = 1; i < 8; i++)
		s += part[i][lane];
	out += BID_Y * width;
	out[c] = accumulate ? out[c] + s : s;
}
