// Attention of a single query row, the shape of a suffix in the last block.
// Whole matrices of queries go through gemm and softmax.
#include "mathf.h"

enum { MAX_TOKENS = 2048, ROW_THREADS = 128 };

// attention_row: out = softmax(scale·q kᵀ) v of one head of one slot. q, k and
// v are read at the slot's image where its index is given. k and v have tokens
// rows of heads·d values. Grid: x is the head, y the slot.
KERNEL_OF(ROW_THREADS, attention_row, float *out, const float *q, const float *k, const float *v, const int *qi, const int *ki,
          const int *vi, int tokens, int heads, int d, float scale) {
	SHARED float score[MAX_TOKENS];
	SHARED float part[ROW_THREADS];
	int slot = BID_Y, lane = TID % 32, warp = TID / 32, width = heads * d;
	i64 at = (i64)BID_X * d;
	q += (i64)(qi ? qi[slot] : slot) * width + at;
	k += (i64)(ki ? ki[slot] : slot) * tokens * width + at;
	v += (i64)(vi ? vi[slot] : slot) * tokens * width + at;
	for (int t = warp; t < tokens; t += ROW_THREADS / 32) {
		float s = 0.0f;
		for (int c = lane; c < d; c += 32)
			s = fma32(q[c], k[(i64)t * width + c], s);
		s = warp_sum(s);
		if (lane == 0)
			score[t] = s * scale;
	}
	sync_block();
	float top = -__builtin_inff(), sum = 0.0f;
	for (int t = lane; t < tokens; t += 32)
		top = score[t] > top ? score[t] : top;
	top = warp_max(top);
	for (int t = lane; t < tokens; t += 32)
		sum += exp_f(score[t] - top);
	float inv = 1.0f / warp_sum(sum);
	sync_block();
	for (int t = TID; t < tokens; t += ROW_THREADS)
		score[t] = exp_f(score[t] - top) * inv;
	sync_block();
	// Columns are shared out among lanes and tokens among the groups of lanes.
	int lanes = d <= 32 ? 32 : d <= 64 ? 64 : 128, groups = ROW_THREADS / lanes;
	for (int c0 = 0; c0 < d; c0 += lanes) {
		int c = c0 + TID % lanes, g = TID / lanes;
		float s = 0.0f;
		if (c < d)
			for (int t = g; t < tokens; t += groups)
				s = fma32(score[t], v[(i64)t * width + c], s);
		part[TID] = s;
		sync_block();
		if (g == 0 && c < d) {
			for (int i = 1; i < groups; i++)
				s += part[i * lanes + TID];
			out[(i64)slot * width + at + c] = s;
		}
		sync_block();
	}
}
