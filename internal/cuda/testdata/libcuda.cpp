// A libcuda.so.1 for machines without a GPU: the driver functions that the
// package calls, over host memory and the kernels compiled for the host. It is
// stricter than a driver: calls need the context to be current on their thread,
// handles must be live, kernels must be entries of the PTX that was loaded, and
// copies must stay inside one allocation.
#include "../kernels/host.cpp"

#include <map>
#include <mutex>
#include <set>
#include <string>

typedef int CUresult;
typedef unsigned long long CUdeviceptr;

namespace {
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, LAUNCH_FAILED = 719 };

const size_t total = 1ull << 30;
enum { usual_shared = 48 << 10, most_shared = 163 << 10 };
size_t used;
int retained;
char context;
thread_local void *current;
std::map<void *, std::string> images; // by module
std::map<CUdeviceptr, size_t> memory;
std::set<void *> pinned, streams, events;
std::map<std::string, int> functions; // and what shared memory each may use

bool inside(CUdeviceptr p, size_t n) {
	auto it = memory.upper_bound(p);
	if (it == memory.begin())
		return false;
	--it;
	return p + n <= it->first + it->second;
}

bool ready() { return current == &context && retained > 0; }
} // namespace

#define NEED(condition, code) \
	if (!(condition))         \
	return code

extern "C" {
CUresult cuInit(unsigned) { return SUCCESS; }
CUresult cuDeviceGetCount(int *n) { *n = 2; return SUCCESS; }
CUresult cuDeviceGet(int *d, int i) { *d = i; return i < 2 ? SUCCESS : INVALID_VALUE; }
CUresult cuDeviceGetName(char *s, int n, int) { snprintf(s, n, "host"); return SUCCESS; }
CUresult cuDeviceGetAttribute(int *v, int attribute, int device) {
	// compute capability: 8.0, and a device that is too old; shared memory of a block
	*v = attribute == 75 ? (device == 0 ? 8 : 6) : attribute == 97 ? most_shared : 0;
	return attribute == 75 || attribute == 76 || attribute == 97 ? SUCCESS : INVALID_VALUE;
}
CUresult cuDevicePrimaryCtxRetain(void **c, int) { retained++; *c = &context; return SUCCESS; }
CUresult cuDevicePrimaryCtxRelease_v2(int) {
	NEED(retained > 0, INVALID_CONTEXT);
	retained--;
	return SUCCESS;
}
CUresult cuCtxSetCurrent(void *c) { current = c; return c == &context ? SUCCESS : INVALID_CONTEXT; }
CUresult cuCtxGetCurrent(void **c) { *c = current; return SUCCESS; }
CUresult cuCtxSynchronize() { return ready() ? SUCCESS : INVALID_CONTEXT; }

CUresult cuMemGetInfo_v2(size_t *f, size_t *t) {
	NEED(ready(), INVALID_CONTEXT);
	*f = total - used;
	*t = total;
	return SUCCESS;
}
CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t n) {
	NEED(ready(), INVALID_CONTEXT);
	NEED(n > 0, INVALID_VALUE);
	NEED(n <= total - used, OUT_OF_MEMORY);
	void *m = aligned_alloc(256, (n + 255) / 256 * 256);
	memset(m, 0xFF, n);
	*p = (CUdeviceptr)m;
	memory[*p] = n;
	used += n;
	return SUCCESS;
}
CUresult cuMemFree_v2(CUdeviceptr p) {
	NEED(ready(), INVALID_CONTEXT);
	NEED(memory.count(p), INVALID_VALUE);
	used -= memory[p];
	memory.erase(p);
	free((void *)p);
	return SUCCESS;
}
CUresult cuMemHostAlloc(void **p, size_t n, unsigned) {
	NEED(ready(), INVALID_CONTEXT);
	*p = malloc(n);
	pinned.insert(*p);
	return SUCCESS;
}
CUresult cuMemFreeHost(void *p) {
	NEED(pinned.erase(p), INVALID_VALUE);
	free(p);
	return SUCCESS;
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr d, const void *s, size_t n, void *stream) {
	NEED(ready(), INVALID_CONTEXT);
	NEED(streams.count(stream), INVALID_HANDLE);
	NEED(inside(d, n), INVALID_VALUE);
	memcpy((void *)d, s, n);
	return SUCCESS;
}
CUresult cuMemcpyDtoHAsync_v2(void *d, CUdeviceptr s, size_t n, void *stream) {
	NEED(ready(), INVALID_CONTEXT);
	NEED(streams.count(stream), INVALID_HANDLE);
	NEED(inside(s, n), INVALID_VALUE);
	memcpy(d, (void *)s, n);
	return SUCCESS;
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr d, CUdeviceptr s, size_t n, void *stream) {
	NEED(ready(), INVALID_CONTEXT);
	NEED(streams.count(stream), INVALID_HANDLE);
	NEED(inside(d, n) && inside(s, n), INVALID_VALUE);
	memcpy((void *)d, (void *)s, n);
	return SUCCESS;
}
CUresult cuMemsetD8Async(CUdeviceptr d, unsigned char v, size_t n, void *stream) {
	NEED(ready(), INVALID_CONTEXT);
	NEED(streams.count(stream), INVALID_HANDLE);
	NEED(inside(d, n), INVALID_VALUE);
	memset((void *)d, v, n);
	return SUCCESS;
}

CUresult cuModuleLoadDataEx(void **m, const void *ptx, unsigned, int *, void **) {
	NEED(ready(), INVALID_CONTEXT);
	*m = malloc(1);
	images[*m] = (const char *)ptx;
	return SUCCESS;
}
CUresult cuModuleUnload(void *m) { return images.erase(m) ? SUCCESS : INVALID_HANDLE; }
CUresult cuModuleGetFunction(void **f, void *m, const char *name) {
	NEED(images.count(m), INVALID_HANDLE);
	NEED(images[m].find(".entry " + std::string(name) + "(") != std::string::npos, NOT_FOUND);
	NEED(flops_host_types(name), NOT_FOUND);
	functions.emplace(name, usual_shared);
	*f = (void *)functions.find(name)->first.c_str();
	return SUCCESS;
}
CUresult cuFuncSetAttribute(void *f, int attribute, int value) {
	NEED(ready(), INVALID_CONTEXT);
	NEED(functions.count((const char *)f), INVALID_HANDLE);
	NEED(attribute == 8 && value > 0 && value <= most_shared, INVALID_VALUE);
	functions[(const char *)f] = value;
	return SUCCESS;
}

CUresult cuStreamCreate(void **s, unsigned) {
	NEED(ready(), INVALID_CONTEXT);
	*s = malloc(1);
	streams.insert(*s);
	return SUCCESS;
}
CUresult cuStreamDestroy_v2(void *s) { return streams.erase(s) ? SUCCESS : INVALID_HANDLE; }
CUresult cuStreamSynchronize(void *s) { return streams.count(s) ? SUCCESS : INVALID_HANDLE; }
CUresult cuEventCreate(void **e, unsigned) {
	*e = malloc(1);
	events.insert(*e);
	return SUCCESS;
}
CUresult cuEventDestroy_v2(void *e) { return events.erase(e) ? SUCCESS : INVALID_HANDLE; }
CUresult cuEventRecord(void *e, void *s) { return events.count(e) && streams.count(s) ? SUCCESS : INVALID_HANDLE; }
CUresult cuStreamWaitEvent(void *s, void *e, unsigned) { return events.count(e) && streams.count(s) ? SUCCESS : INVALID_HANDLE; }

CUresult cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream,
                        void **params, void **extra) {
	NEED(ready(), INVALID_CONTEXT);
	NEED(streams.count(stream), INVALID_HANDLE);
	NEED((int)shared <= functions[(const char *)f] && extra == nullptr, INVALID_VALUE);
	int dims[7] = {(int)gx, (int)gy, (int)gz, (int)bx, (int)by, (int)bz, (int)shared};
	const char *wrong = flops_host_launch((const char *)f, dims, params);
	if (wrong)
		fprintf(stderr, "libcuda.so.1 of the tests: %s\n", wrong);
	return wrong ? LAUNCH_FAILED : SUCCESS;
}
}
