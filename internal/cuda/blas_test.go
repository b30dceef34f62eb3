package cuda

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"unsafe"
)

// fakeBLAS is a library with cuBLAS's entry points, made once.
var fakeBLAS struct {
	once  sync.Once
	lib   uintptr
	calls *[4]int32 // single, strided, batched, Lt
	skip  string
}

// withBLAS gives a device of the host the fake cuBLAS.
func withBLAS(t testing.TB, d *Device, p Precision) *[4]int32 {
	t.Helper()
	fakeBLAS.once.Do(func() {
		var path string
		if path, fakeBLAS.skip = buildShared("testdata/cublas.cpp"); fakeBLAS.skip != "" {
			return
		}
		defer os.RemoveAll(filepath.Dir(path))
		lib, err := shared.open(path)
		if err != nil {
			panic(err)
		}
		calls, err := shared.symbol(lib, "flops_fake_calls")
		if err != nil {
			panic(err)
		}
		fakeBLAS.lib, fakeBLAS.calls = lib, *(**[4]int32)(unsafe.Pointer(&calls))
	})
	if fakeBLAS.skip != "" {
		t.Skip(fakeBLAS.skip)
	}
	b, err := newBLAS(d.Driver, fakeBLAS.lib, "libcublas.so.fake", p)
	if err == nil {
		err = b.start(0)
	}
	if err == nil {
		err = b.useLt(fakeBLAS.lib, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.blas = b
	return fakeBLAS.calls
}

// TestBLAS runs every kind of product through the calls that cuBLAS gets.
func TestBLAS(t *testing.T) {
	r := &rig{NewDevice(newHostDriver(t), Noise{}), t}
	calls := withBLAS(t, r.Device, TF32)
	r.pointerRoom = 4 // so that six products go in parts
	r.pointers = r.room(3 * 8 * 4)
	before := *calls
	for _, form := range forms {
		for _, s := range gemmShapes {
			gemmCase(t, r, form, s.m, s.n, s.k, s.pad, true, 2e-6)
		}
	}
	for _, width := range []int{37, 132, 1100} {
		epilogueCase(t, r, width, 2e-6) // with Lt
		lt := r.blas.lt
		r.blas.lt = nil
		epilogueCase(t, r, width, 2e-6)
		r.blas.lt = lt
	}
	batchCase(t, r, 2e-6)
	const slots, m = 3, 4
	x := random(slots*m*m, 1)
	c := r.room(4 * slots * m * m)
	operand := Operand{Ptr: put(r, x), Ld: m, Slot: m * m}
	r.ok(r.Gemm(Gemm{Form: NN, M: m, N: m, K: m, Alpha: 1, Slots: slots, A: operand, B: operand, C: operand.like(c)}))
	got := r.floats(c, slots*m*m)
	for s := 0; s < slots; s++ {
		near(t, "strided", got[s*m*m:(s+1)*m*m], gemmRef(NN, x[s*m*m:], x[s*m*m:], m, m, m, m, m, 1, nil, 0), 1e-5)
	}
	for i, n := range *calls {
		if n == before[i] {
			t.Errorf("entry point %d was never called", i)
		}
	}
	r.ok(r.closeBLAS())
}

// TestLtRefuses goes on without the bias fused where cuBLASLt refuses a product.
func TestLtRefuses(t *testing.T) {
	r := &rig{NewDevice(newHostDriver(t), Noise{}), t}
	withBLAS(t, r.Device, FP32)
	refuses, err := shared.symbol(fakeBLAS.lib, "flops_fake_lt_refuses")
	r.ok(err)
	on := *(**int32)(unsafe.Pointer(&refuses))
	*on = 1
	defer func() { *on = 0 }()
	if got := r.Engine(); got != "libcublas.so.fake and Lt (fp32)" {
		t.Errorf("engine %q", got)
	}
	epilogueCase(t, r, 37, 2e-6)
	if got := r.Engine(); got != "libcublas.so.fake (fp32)" {
		t.Errorf("cuBLASLt refused and is still asked: %q", got)
	}
	r.ok(r.closeBLAS())
}

// TestModelWithBLAS is TestModelIsTheCPUs's network with the products of the
// library, attention's batches among them.
func TestModelWithBLAS(t *testing.T) {
	if os.Getenv("FLOPS_TEST_DEVICE") != "" {
		t.Skip("a GPU has its own cuBLAS")
	}
	w := newTwins(t, tiny, 3, true, Options{})
	withBLAS(t, w.gpu.b.dev, FP32)
	cpu, gpu := w.clean([]int{2, 3})
	w.same("logits", gpu.Logits, cpu.Logits, 1e-4)
	_, err := w.cpu.Backward(w.ctx, w.b)
	w.ok(err)
	_, err = w.gpu.Backward(w.ctx, w.b)
	w.ok(err)
	w.grads("backward", 2e-4)
}

func TestPrecisionNeedsBLAS(t *testing.T) {
	if os.Getenv("FLOPS_TEST_DEVICE") != "" {
		t.Skip("a GPU may have cuBLAS")
	}
	w := newTwins(t, tiny, 1, true, Options{Precision: TF32})
	if w.gpu.Note() == "" || w.gpu.Device() != "host with own kernels (fp32)" {
		t.Errorf("device %q, note %q: a precision that is not had must be said", w.gpu.Device(), w.gpu.Note())
	}
}

// deep uses so many KiB of the stack.
func deep(n int) byte {
	var room [1024]byte
	if n > 0 {
		room[n%len(room)] = deep(n - 1)
	}
	return room[0]
}

// TestStacksMove: products are described and computed where the goroutine's stack moves
// between taking an address and the library's call, as it may where it grows, and at
// any collection of garbage.
func TestStacksMove(t *testing.T) {
	r := halfRig(t)
	withBLAS(t, r.Device, BF16)
	call := r.blas.call
	r.blas.call = func(fn uintptr, args ...uintptr) uintptr {
		deep(64)           // grows the stack, which moves,
		defer runtime.GC() // and shrinks again for the next call
		return call(fn, args...)
	}
	const m, n, k = 3, 16, 8
	x, w := put(r, make([]uint16, m*k)), put(r, make([]uint16, n*k))
	bias, c := put(r, random(n, 1)), r.room(4*m*n)
	for _, half := range []bool{true, false} {
		g := Gemm{Form: NT, M: m, N: n, K: k, Alpha: 1, Half: half, Bias: bias, A: Operand{Ptr: x, Ld: k},
			B: Operand{Ptr: w, Ld: k}, C: Operand{Ptr: c, Ld: n}}
		if !half {
			g.A.Ptr, g.B.Ptr = put(r, make([]float32, m*k)), put(r, make([]float32, n*k))
		}
		failed := make(chan error)
		go func() { failed <- r.Gemm(g) }() // on a small stack of its own
		r.ok(<-failed)
		for i, v := range r.floats(c, m*n) {
			if want := random(n, 1)[i%n]; v != want {
				t.Fatalf("value %d of a product of zeros is %v, and the bias is %v", i, v, want)
			}
		}
	}
	if r.blas.lt == nil {
		t.Error("the library refused a product")
	}
	done := make(chan error)
	go func() { done <- r.closeBLAS() }()
	r.ok(<-done)
}

// TestProductsAreTuned: of the algorithms that the library proposes the fastest is
// taken, written down, and taken by the next run without a trial.
func TestProductsAreTuned(t *testing.T) {
	t.Setenv("FLOPS_CACHE", t.TempDir())
	defer func(n int64) { tuneFrom = n }(tuneFrom)
	tuneFrom = 1
	slow, trials := 0, [2]int32{}
	for run := range 2 {
		r := &rig{NewDevice(newHostDriver(t), Noise{}), t}
		calls := withBLAS(t, r.Device, BF16)
		p, err := shared.symbol(fakeBLAS.lib, "flops_fake_slow")
		r.ok(err)
		fake := *(**int32)(unsafe.Pointer(&p))
		*fake = int32(slow)
		defer func() { *fake = -1 }()
		const m, n, k = 3, 16, 8
		a, b := put(r, make([]uint16, m*k)), put(r, make([]uint16, n*k))
		g := Gemm{Form: NT, M: m, N: n, K: k, Alpha: 1, Half: true, A: Operand{Ptr: a, Ld: k}, B: Operand{Ptr: b, Ld: k},
			C: Operand{Ptr: r.room(4 * m * n), Ld: n}}
		before := calls[3]
		r.ok(r.Gemm(g))
		trials[run] = calls[3] - before - 1
		for _, plan := range r.blas.lt.plans {
			if plan.algorithm[1] != 1 {
				t.Errorf("run %d: algorithm %d, and the other is the fast one", run, plan.algorithm[1])
			}
		}
		slow = 1 // what would be chosen by a trial now is the other
		r.ok(r.closeBLAS())
	}
	if trials != [2]int32{2 * (tuneRuns + 1), 0} {
		t.Errorf("trials of the first run and the second: %v", trials)
	}
}
