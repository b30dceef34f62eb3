// The functions of cuBLAS and cuBLASLt that the package calls, by their documented
// meaning (column-major, operands and leading dimensions as in BLAS), for tests
// on a machine without it. Only float32 and the three compute types in use are
// accepted, and a wrong leading dimension is an error as in the library, as is a
// call without a current device where there is a driver.
#include <cstddef>
#include <dlfcn.h>

namespace {
int handle, lt_handle, live;

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

bool device() {
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD), *context = nullptr;
	if (!lib)
		return true; // the tests' own driver has no devices
	auto get = (int (*)(void **))dlsym(lib, "cuCtxGetCurrent");
	return get && get(&context) == 0 && context;
}

bool types(int a, int b, int c, int compute, int algorithm) {
	return a == 0 && b == 0 && c == 0 && (compute == 68 || compute == 75 || compute == 77) && algorithm == -1;
}
} // namespace

extern "C" {
int flops_fake_calls[4];
int flops_fake_lt_refuses;

int cublasCreate_v2(void **h) { *h = &handle; return device() ? 0 : 1; }
int cublasDestroy_v2(void *h) { return h == &handle ? 0 : 1; }
int cublasSetStream_v2(void *h, void *) { return h == &handle ? 0 : 1; }

int cublasGemmEx(void *h, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int at, int lda, const float *b, int bt,
                 int ldb, const float *beta, float *c, int ct, int ldc, int compute, int algorithm) {
	flops_fake_calls[0]++;
	if (h != &handle || !device() || !types(at, bt, ct, compute, algorithm))
		return 15; // CUBLAS_STATUS_NOT_SUPPORTED
	return product(ta, tb, m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc);
}

int cublasGemmStridedBatchedEx(void *h, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int at, int lda, long long sa,
                               const float *b, int bt, int ldb, long long sb, const float *beta, float *c, int ct, int ldc, long long sc,
                               int count, int compute, int algorithm) {
	flops_fake_calls[1]++;
	if (h != &handle || !device() || !types(at, bt, ct, compute, algorithm))
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
	if (h != &handle || !device() || !types(at, bt, ct, compute, algorithm))
		return 15;
	int r = 0;
	for (int i = 0; i < count && r == 0; i++)
		r = product(ta, tb, m, n, k, *alpha, a[i], lda, b[i], ldb, *beta, c[i], ldc);
	return r;
}

struct lt_desc {
	int compute, ta, epilogue;
	const float *bias;
};
struct lt_layout {
	unsigned long long rows, cols;
	long long ld;
};

int cublasLtCreate(void **h) { *h = &lt_handle; return device() ? 0 : 1; }
int cublasLtDestroy(void *h) { return h == &lt_handle && live == 0 ? 0 : 1; }
int cublasLtMatmulDescCreate(lt_desc **d, int compute, int scale) {
	live++;
	*d = new lt_desc{compute, 0, 1, nullptr};
	return scale == 0 ? 0 : 7;
}
int cublasLtMatmulDescDestroy(lt_desc *d) { live--; delete d; return 0; }
int cublasLtMatmulDescSetAttribute(lt_desc *d, int attribute, const void *value, size_t size) {
	switch (attribute) {
	case 3: // CUBLASLT_MATMUL_DESC_TRANSA
		d->ta = *(const int *)value;
		return size == 4 ? 0 : 7;
	case 7: // CUBLASLT_MATMUL_DESC_EPILOGUE
		d->epilogue = *(const int *)value;
		return size == 4 ? 0 : 7;
	case 8: // CUBLASLT_MATMUL_DESC_BIAS_POINTER
		d->bias = *(const float *const *)value;
		return size == 8 ? 0 : 7;
	}
	return 7;
}
int cublasLtMatrixLayoutCreate(lt_layout **l, int type, unsigned long long rows, unsigned long long cols, long long ld) {
	live++;
	*l = new lt_layout{rows, cols, ld};
	return type == 0 && ld >= (long long)rows ? 0 : 7;
}
int cublasLtMatrixLayoutDestroy(lt_layout *l) { live--; delete l; return 0; }

int cublasLtMatmul(void *h, lt_desc *d, const float *alpha, const float *a, lt_layout *la, const float *b, lt_layout *lb, const float *beta,
                   const float *c, lt_layout *lc, float *out, lt_layout *lout, const void *algorithm, void *workspace, size_t bytes, void *) {
	flops_fake_calls[3]++;
	if (flops_fake_lt_refuses)
		return 15;
	if (h != &lt_handle || !device() || !types(0, 0, 0, d->compute, -1) || d->epilogue != 4 || algorithm || workspace || bytes)
		return 15;
	unsigned long long m = d->ta ? la->cols : la->rows, k = d->ta ? la->rows : la->cols;
	if (lb->rows != k || lc->rows != m || lc->cols != lb->cols || lout->rows != m || lout->cols != lb->cols || lc->ld != lout->ld)
		return 7;
	if (c != out)
		for (unsigned long long j = 0; j < lc->cols; j++)
			for (unsigned long long i = 0; i < m; i++)
				out[i + j * lout->ld] = c[i + j * lc->ld];
	int r = product(d->ta, 0, (int)m, (int)lb->cols, (int)k, *alpha, a, (int)la->ld, b, (int)lb->ld, *beta, out, (int)lout->ld);
	for (unsigned long long j = 0; j < lout->cols && r == 0; j++)
		for (unsigned long long i = 0; i < m; i++)
			out[i + j * lout->ld] += d->bias[i];
	return r;
}
}
