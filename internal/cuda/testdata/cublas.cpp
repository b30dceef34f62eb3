// The functions of cuBLAS and cuBLASLt that the package calls, by their documented
// meaning (column-major, operands and leading dimensions as in BLAS), for tests
// on a machine without it. Only float32 and the three compute types in use are
// accepted, and a wrong leading dimension is an error as in the library, as is a
// call without a current device where there is a driver.
#include <cmath>
#include <cstddef>
#include <cstring>
#include <dlfcn.h>
#include <unistd.h>

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

// A matrix of floats (type 0) or bf16 (14).
float value(const void *p, int type, size_t i) {
	if (type == 0)
		return ((const float *)p)[i];
	unsigned bits = (unsigned)((const unsigned short *)p)[i] << 16;
	float v;
	memcpy(&v, &bits, 4);
	return v;
}
void store(void *p, int type, size_t i, float v) {
	if (type == 0) {
		((float *)p)[i] = v;
		return;
	}
	unsigned bits;
	memcpy(&bits, &v, 4);
	((unsigned short *)p)[i] = (unsigned short)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
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
	const void *bias;
};
struct lt_layout {
	int type;
	unsigned long long rows, cols;
	long long ld;
};
struct lt_algorithm {
	unsigned long long data[8];
};
struct lt_result {
	lt_algorithm algorithm;
	size_t workspace;
	int status;
	float waves;
	int reserved[4];
};
enum : unsigned long long { KNOWN = 0x616c676f72697468 };

int flops_fake_slow = -1; // an algorithm that takes its time

size_t cublasLtGetVersion() { return 130000; }
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
		d->bias = *(const void *const *)value;
		return size == 8 ? 0 : 7;
	}
	return 7;
}
int cublasLtMatrixLayoutCreate(lt_layout **l, int type, unsigned long long rows, unsigned long long cols, long long ld) {
	live++;
	*l = new lt_layout{type, rows, cols, ld};
	return (type == 0 || type == 14) && ld >= (long long)rows ? 0 : 7;
}
int cublasLtMatrixLayoutDestroy(lt_layout *l) { live--; delete l; return 0; }

int cublasLtMatmulPreferenceCreate(size_t **p) { live++; *p = new size_t(0); return 0; }
int cublasLtMatmulPreferenceDestroy(size_t *p) { live--; delete p; return p ? 0 : 7; }
int cublasLtMatmulPreferenceSetAttribute(size_t *p, int attribute, const void *value, size_t size) {
	if (!p)
		return 7;
	*p = *(const unsigned long long *)value;
	return attribute == 1 && size == 8 ? 0 : 7;
}
// Three algorithms, of which the last wants more workspace than it is told of.
int cublasLtMatmulAlgoGetHeuristic(void *h, lt_desc *d, lt_layout *, lt_layout *, lt_layout *, lt_layout *, size_t *p, int asked, lt_result *r,
                                   int *found) {
	static_assert(sizeof(lt_result) == 96, "the library's struct");
	if (h != &lt_handle || !d || !p || asked < 3)
		return 7;
	for (int i = 0; i < 3; i++)
		r[i] = lt_result{{{KNOWN, (unsigned long long)i}}, i < 2 ? *p : *p + 1, i < 2 ? 0 : 15, 1, {}};
	*found = 2;
	return 0;
}

int cublasLtMatmul(void *h, lt_desc *d, const float *alpha, const void *a, lt_layout *la, const void *b, lt_layout *lb, const float *beta,
                   const void *c, lt_layout *lc, void *out, lt_layout *lout, const lt_algorithm *algorithm, void *workspace, size_t bytes, void *) {
	flops_fake_calls[3]++;
	if (flops_fake_lt_refuses)
		return 15;
	bool half = la->type == 14;
	if (algorithm && (int)algorithm->data[1] == flops_fake_slow)
		usleep(3000);
	if (h != &lt_handle || !device() || (d->epilogue != 4 && d->epilogue != 1 && d->epilogue != 36) || la->type != lb->type || lc->type != lout->type)
		return 15;
	if (half ? d->compute != 68 : (lc->type != 0 || !types(0, 0, 0, d->compute, -1)))
		return 15;
	if (algorithm && (algorithm->data[0] != KNOWN || (bytes > 0 && !workspace)))
		return 7;
	if (half && ((size_t)a % 16 || (size_t)b % 16 || la->ld % 8 || lb->ld % 8))
		return 7; // the library would take slower ways, which no caller should need
	size_t m = d->ta ? la->cols : la->rows, k = d->ta ? la->rows : la->cols, n = lb->cols;
	if (lb->rows != k || lc->rows != m || lc->cols != n || lout->rows != m || lout->cols != n || lc->ld != lout->ld)
		return 7;
	for (size_t j = 0; j < n; j++)
		for (size_t i = 0; i < m; i++) {
			double s = 0;
			for (size_t p = 0; p < k; p++)
				s += (double)value(a, la->type, d->ta ? p + i * la->ld : i + p * la->ld) * value(b, lb->type, p + j * lb->ld);
			float v = (float)(*alpha * s);
			if (*beta != 0)
				v += *beta * value(c, lc->type, i + j * lc->ld);
			if (d->epilogue != 1)
				v += value(d->bias, lc->type, i);
			if (d->epilogue == 36) // CUBLASLT_EPILOGUE_GELU_BIAS
				v = 0.5f * v * (1 + std::tanh(0.79788456f * (v + 0.044715f * v * v * v)));
			store(out, lc->type, i + j * lout->ld, v);
		}
	return 0;
}
}
