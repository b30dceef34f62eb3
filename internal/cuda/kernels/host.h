// The host's side of device.h: a block's threads are fibres of one host thread,
// run in turn from barrier to barrier. A barrier that some threads of a block
// never reach, and a shuffle that some lanes of a warp never reach, end the
// launch with an error instead of the hang or the wrong number of a device.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#define DEVICE static inline
#define METHOD inline
#define UNROLL
#define SHARED static

struct place3 { int x, y, z; };

namespace host {
extern place3 block, block_size, grid_size;
extern int thread;
void barrier();
float exchange(float v, int mask);

// share shows the lanes of a warp the words of one another, by lane: what the
// matrix instructions of sm80/bf16.h exchange.
enum { WORDS = 6 };
const unsigned (*share(const unsigned *v, int n))[WORDS];

// argument reads a kernel's parameter as a driver does, from an address per
// parameter.
template <class T> T argument(void *const *a, size_t i) {
	T v;
	std::memcpy(&v, a[i], sizeof v);
	return v;
}

template <class... A, size_t... I> void apply(void (*f)(A...), void *const *a, std::index_sequence<I...>) {
	f(argument<A>(a, I)...);
}

// letter is the type of a parameter as the Go side writes it.
template <class T> struct letter;
template <class T> struct letter<T *> { static constexpr char is = 'p'; };
template <> struct letter<int> { static constexpr char is = 'i'; };
template <> struct letter<unsigned> { static constexpr char is = 'u'; };
template <> struct letter<float> { static constexpr char is = 'f'; };
template <> struct letter<long long> { static constexpr char is = 'l'; };

// kernel is one entry of the list of all kernels.
struct kernel {
	const char *name, *types;
	void (*call)(const kernel *, void *const *);
	void (*function)();
	const kernel *next;
	static const kernel *first;
};

template <class... A> struct registered : kernel {
	static void invoke(const kernel *k, void *const *a) {
		apply(reinterpret_cast<void (*)(A...)>(k->function), a, std::index_sequence_for<A...>());
	}
	registered(const char *n, void (*f)(A...)) {
		static const char letters[] = {letter<A>::is..., 0};
		name = n;
		types = letters;
		call = invoke;
		function = reinterpret_cast<void (*)()>(f);
		next = first;
		first = this;
	}
};
template <class... A> registered(const char *, void (*)(A...)) -> registered<A...>;
} // namespace host

#define KERNEL(name, ...)                                  \
	static void name(__VA_ARGS__);                         \
	static const host::registered host_##name(#name, name); \
	static void name(__VA_ARGS__)
#define KERNEL_OF(n, name, ...) KERNEL(name, __VA_ARGS__)
#define KERNEL_MIN(n, blocks, name, ...) KERNEL(name, __VA_ARGS__)

#define TID host::thread
#define THREADS host::block_size.x
#define BID_X host::block.x
#define BID_Y host::block.y
#define BID_Z host::block.z
#define GRID_X host::grid_size.x

DEVICE void sync_block() { host::barrier(); }
DEVICE float shuffle_xor(float v, int mask) { return host::exchange(v, mask); }
DEVICE float sqrt_rn(float v) { return __builtin_sqrtf(v); }
DEVICE double sqrt_rn64(double v) { return __builtin_sqrt(v); }
DEVICE f4 shared4(const float *p) { return *(const f4 *)p; }
DEVICE u32 mul_hi(u32 a, u32 b) { return (u32)(((u64)a * b) >> 32); }
