// The four functions of cuBLAS that the package calls, by their documented
// meaning (column-major, operands and leading dimensions as in BLAS), for tests
// on a machine without it. Only float32 and the three compute types in use are
// accepted, and a wrong leading dimension is an error as in the library.
#include <cstddef>

namespace {
int handle;

int product(int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc) {
	if (m < 0 || n < 0 || k < 0 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m)
		return 7; // CUBLAS_STATUS_INVALID_VALUE
	for (int j = 0; j < n; j++)
		for (int i = 0; i < m; i++) {
			double s = 0;
			for (int p = 0; p < k; p++)
				s += (double)a[ta ? p + (size_t)i * lda : i + (size_t)p * lda] * b[tb ? j + (size_t)p * ldb : p + (size_t)j * ldb];
			float *out = c + i + (size_t)j * ldc;
			*out = (float)(alpha * s) + (beta == 0 ? 0 : beta * *out);
		}
	return 0;
}

bool types(int a, int b, int c, int compute, int algorithm) {
	return a == 0 && b == 0 && c == 0 && (compute == 68 || compute == 75 || compute == 77) && algorithm == -1;
}
} // namespace

extern "C" {
int flops_fake_calls[3];

int cublasCreate_v2(void **h) { *h = &handle; return 0; }
int cublasDestroy_v2(void *h) { return h == &handle ? 0 : 1; }
int cublasSetStream_v2(void *h, void *) { return h == &handle ? 0 : 1; }

int cublasGemmEx(void *h, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int at, int lda, const float *b, int bt,
                 int ldb, const float *beta, float *c, int ct, int ldc, int compute, int algorithm) {
	flops_fake_calls[0]++;
	if (h != &handle || !types(at, bt, ct, compute, algorithm))
		return 15; // CUBLAS_STATUS_NOT_SUPPORTED
	return product(ta, tb, m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc);
}

int cublasGemmStridedBatchedEx(void *h, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int at, int lda, long long sa,
                               const float *b, int bt, int ldb, long long sb, const float *beta, float *c, int ct, int ldc, long long sc,
                               int count, int compute, int algorithm) {
	flops_fake_calls[1]++;
	if (h != &handle || !types(at, bt, ct, compute, algorithm))
		return 15;
	int r = 0;
	for (int i = 0; i < count && r == 0; i++)
		r = product(ta, tb, m, n, k, *alpha, a + i * sa, lda, b + i * sb, ldb, *beta, c + i * sc, ldc);
	return r;
}

int cublasGemmBatchedEx(void *h, int ta, int tb, int m, int n, int k, const float *alpha, const float *const *a, int at, int lda,
                        const float *const *b, int bt, int ldb, const float *beta, float *const *c, int ct, int ldc, int count, int compute,
                        int algorithm) {
	flops_fake_calls[2]++;
	if (h != &handle || !types(at, bt, ct, compute, algorithm))
		return 15;
	int r = 0;
	for (int i = 0; i < count && r == 0; i++)
		r = product(ta, tb, m, n, k, *alpha, a[i], lda, b[i], ldb, *beta, c[i], ldc);
	return r;
}
}
