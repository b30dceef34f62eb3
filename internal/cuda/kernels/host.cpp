// The library that the tests load: every kernel, compiled for the host, behind
// a launch call of the driver's shape.
#define FLOPS_HOST
#include "kernels.cu"
#include "sm80/sm80.cu"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <ucontext.h>

namespace host {
place3 block, block_size, grid_size;
int thread;
const kernel *kernel::first;

namespace {
enum state { READY, SHUFFLE, BARRIER, DONE };
enum { LANES = 32, MAX_THREADS = 1024, STACK = 64 << 10 };

struct fibre {
	ucontext_t context;
	jmp_buf jump;
	bool started;
	state is;
	int shuffles;
	char *stack;
};

fibre fibres[MAX_THREADS];
float lanes[2][MAX_THREADS];
jmp_buf scheduler;
ucontext_t scheduler_context;
const kernel *running;
void *const *arguments;
bool backwards;
char failure[256];

// pause gives the turn back until the scheduler comes around again.
void pause(state s) {
	fibre &f = fibres[thread];
	f.is = s;
	if (_setjmp(f.jump) == 0)
		_longjmp(scheduler, 1);
}

void enter() {
	running->call(running, arguments);
	fibres[thread].is = DONE;
	_longjmp(scheduler, 1);
}

// resume runs a fibre until it pauses. The first entry goes through a context
// to get onto its stack; later ones are jumps, which cost no system call.
void resume(int t) {
	fibre &f = fibres[t];
	thread = t;
	if (_setjmp(scheduler) != 0)
		return;
	if (f.started)
		_longjmp(f.jump, 1);
	f.started = true;
	getcontext(&f.context);
	f.context.uc_stack.ss_sp = f.stack;
	f.context.uc_stack.ss_size = STACK;
	f.context.uc_link = nullptr;
	makecontext(&f.context, enter, 0);
	swapcontext(&scheduler_context, &f.context);
}

// fail keeps the first failure of a launch.
bool fail(const char *what) {
	if (!failure[0])
		snprintf(failure, sizeof failure, "kernel %s, block (%d, %d, %d): %s", running->name, block.x, block.y, block.z, what);
	return false;
}

// run_warp runs threads lo..hi-1 until each is at a barrier or done.
bool run_warp(int lo, int hi) {
	for (;;) {
		int count[4] = {};
		for (int i = lo; i < hi; i++) {
			int t = backwards ? hi - 1 - (i - lo) : i;
			if (fibres[t].is == READY)
				resume(t);
		}
		for (int t = lo; t < hi; t++)
			count[fibres[t].is]++;
		if (count[SHUFFLE] == 0)
			return true;
		if (count[SHUFFLE] != LANES)
			return fail("a shuffle that not every lane of its warp reaches");
		for (int t = lo; t < hi; t++)
			fibres[t].is = READY;
	}
}

bool run_block(int n) {
	for (int t = 0; t < n; t++) {
		fibres[t].started = false;
		fibres[t].is = READY;
		fibres[t].shuffles = 0;
		if (!fibres[t].stack)
			fibres[t].stack = static_cast<char *>(malloc(STACK));
	}
	for (;;) {
		int warps = (n + LANES - 1) / LANES, waiting = 0, done = 0;
		for (int i = 0; i < warps; i++) {
			int w = backwards ? warps - 1 - i : i, hi = (w + 1) * LANES;
			if (!run_warp(w * LANES, hi < n ? hi : n))
				return false;
		}
		for (int t = 0; t < n; t++) {
			waiting += fibres[t].is == BARRIER;
			done += fibres[t].is == DONE;
		}
		if (done == n)
			return true;
		if (waiting != n)
			return fail("a barrier that not every thread of the block reaches");
		for (int t = 0; t < n; t++)
			fibres[t].is = READY;
	}
}
} // namespace

void barrier() { pause(BARRIER); }

// Two banks of values in turn, so that a lane which runs ahead to its next
// shuffle does not overwrite what a neighbour has yet to read.
float exchange(float v, int mask) {
	int me = thread, bank = fibres[me].shuffles++ & 1;
	lanes[bank][me] = v;
	pause(SHUFFLE);
	return lanes[bank][me ^ mask];
}

static unsigned words[2][MAX_THREADS][WORDS];
const unsigned (*share(const unsigned *v, int n))[WORDS] {
	int me = thread, bank = fibres[me].shuffles++ & 1;
	memcpy(words[bank][me], v, 4 * n);
	pause(SHUFFLE);
	return words[bank] + me / LANES * LANES;
}
} // namespace host

extern "C" {
// flops_host_types is the parameter types of a kernel, or null where there is
// no kernel of that name.
const char *flops_host_types(const char *name) {
	for (const host::kernel *k = host::kernel::first; k; k = k->next)
		if (strcmp(k->name, name) == 0)
			return k->types;
	return nullptr;
}

// flops_host_backwards makes threads and blocks run last to first, which shows
// a missing barrier as a different result.
void flops_host_backwards(int on) { host::backwards = on; }

// flops_host_launch runs a kernel to its end. It returns null, or what went
// wrong.
const char *flops_host_launch(const char *name, const int *dims, void *const *args) {
	using namespace host;
	failure[0] = 0;
	running = kernel::first;
	while (running && strcmp(running->name, name) != 0)
		running = running->next;
	if (!running)
		return "no such kernel";
	grid_size = {dims[0], dims[1], dims[2]};
	block_size = {dims[3], dims[4], dims[5]};
	arguments = args;
	if (dims[6] < 0 || dims[6] > (int)sizeof host_dynamic)
		return "more shared memory than a device has";
	memset(host_dynamic, 0xFF, dims[6] < (int)sizeof host_dynamic - 1024 ? dims[6] + 1024 : dims[6]);
	if (block_size.x < 1 || block_size.x > MAX_THREADS || block_size.y != 1 || block_size.z != 1)
		return "a block is 1 to 1024 threads along x";
	if (grid_size.x < 1 || grid_size.y < 1 || grid_size.z < 1 || grid_size.y > 65535 || grid_size.z > 65535)
		return "a grid that no device takes";
	long blocks = (long)grid_size.x * grid_size.y * grid_size.z;
	for (long i = 0; i < blocks; i++) {
		long b = backwards ? blocks - 1 - i : i;
		block = {(int)(b % grid_size.x), (int)(b / grid_size.x % grid_size.y), (int)(b / grid_size.x / grid_size.y)};
		if (!run_block(block_size.x))
			return failure;
	}
	return nullptr;
}
}
