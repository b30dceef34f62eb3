package cuda

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"unsafe"
)

// hostDriver runs the kernels compiled for the host, in the memory of this
// process. It checks what a device would not: that arguments have the types of
// the kernel's parameters, that nothing is written outside an allocation, and
// that everything is given back. Fresh memory is NaN.
type hostDriver struct {
	memory map[Ptr][]byte // with a guard on either side
	total  int64
	used   int64
	copies map[string]int // how often each kind of copy was asked for

	// What a launch hands over by address; parts of this object, because a
	// goroutine's stack may move while the addresses are on their way.
	name      []byte
	dims      [7]int32
	words     []uint64
	addresses []unsafe.Pointer
}

const guard = 256

// hostLibrary is the compiled kernels; the test binary makes it once.
var hostLibrary struct {
	once                     sync.Once
	skip                     string
	launch, types, backwards uintptr
}

// hostKernels is where the compiled kernels are, for a machine without a compiler; or
// that they are left out.
const hostKernels, noKernels = "FLOPS_HOST_KERNELS", "off"

// buildShared compiles a C++ file of this package into a library.
func buildShared(source string) (path, skip string) {
	if os.Getenv(hostKernels) == noKernels {
		return "", "left to make gpu-test by " + hostKernels + "=" + noKernels
	}
	cxx := os.Getenv("CXX")
	if cxx == "" {
		cxx = "g++"
	}
	if _, err := exec.LookPath(cxx); err != nil {
		return "", "no C++ compiler here: " + err.Error()
	}
	dir, err := os.MkdirTemp("", "flops-cuda")
	if err != nil {
		return "", err.Error()
	}
	path = filepath.Join(dir, "lib.so")
	// Distributions define _FORTIFY_SOURCE, whose longjmp takes a jump between
	// fibres for a broken stack and aborts.
	cmd := exec.Command(cxx, "-std=c++17", "-O2", "-march=native", "-ffp-contract=off", "-fno-strict-aliasing", "-fPIC",
		"-shared", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=0",
		"-Wall", "-Wextra", "-Werror", "-Wno-attributes", "-o", path, source)
	if out, err := cmd.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("compile %s: %v\n%s", source, err, out))
	}
	return path, ""
}

func loadHost() {
	if runtime.GOOS != "linux" {
		hostLibrary.skip = "the kernels are compiled for the host on Linux only"
		return
	}
	path := os.Getenv(hostKernels)
	if path == "" || path == noKernels {
		if path, hostLibrary.skip = buildShared("kernels/host.cpp"); hostLibrary.skip != "" {
			return
		}
		defer os.RemoveAll(filepath.Dir(path))
	}
	lib, err := shared.open(path)
	if err != nil {
		panic(err)
	}
	for name, p := range map[string]*uintptr{"flops_host_launch": &hostLibrary.launch,
		"flops_host_types":     &hostLibrary.types,
		"flops_host_backwards": &hostLibrary.backwards} {
		if *p, err = shared.symbol(lib, name); err != nil {
			panic(err)
		}
	}
}

// testDriver is the device of a test: the host's, or with
// FLOPS_TEST_DEVICE=cuda a GPU.
func testDriver(t testing.TB) Driver {
	t.Helper()
	d := testDriverOpen(t)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// testDriverOpen is testDriver for a caller who closes it.
func testDriverOpen(t testing.TB) Driver {
	t.Helper()
	spec := os.Getenv("FLOPS_TEST_DEVICE")
	if spec == "" {
		return newHostDriver(t)
	}
	d, err := OpenDriver(spec)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newHostDriver(t testing.TB) *hostDriver {
	t.Helper()
	hostLibrary.once.Do(loadHost)
	if hostLibrary.skip != "" {
		t.Skip(hostLibrary.skip)
	}
	return &hostDriver{memory: map[Ptr][]byte{}, total: 1 << 30, copies: map[string]int{}}
}

func (h *hostDriver) Name() string { return "host" }

func (h *hostDriver) Memory() (free, total int64, err error) { return h.total - h.used, h.total, nil }

func (h *hostDriver) Alloc(n int64) (Ptr, error) {
	if n > h.total-h.used {
		return 0, fmt.Errorf("host: no memory")
	}
	b := make([]byte, n+3*guard)
	for i := range b {
		b[i] = 0xFF
	}
	p := (Ptr(uintptr(unsafe.Pointer(&b[0]))) + 2*guard - 1) &^ (guard - 1)
	h.memory[p] = b
	h.used += n
	return p, nil
}

// intact says whether the guards around an allocation still stand.
func (h *hostDriver) intact(p Ptr) error {
	b := h.memory[p]
	lo := int(p - Ptr(uintptr(unsafe.Pointer(&b[0]))))
	n := len(b) - 3*guard
	full := bytes.Repeat([]byte{0xFF}, guard)
	if !bytes.Equal(b[lo-guard:lo], full) {
		return fmt.Errorf("host: something wrote before an allocation of %d bytes", n)
	}
	if !bytes.Equal(b[lo+n:lo+n+guard], full) {
		return fmt.Errorf("host: something wrote after an allocation of %d bytes", n)
	}
	return nil
}

func (h *hostDriver) Free(p Ptr) error {
	b, ok := h.memory[p]
	if !ok {
		return fmt.Errorf("host: free of memory that was not allocated")
	}
	err := h.intact(p)
	h.used -= int64(len(b) - 3*guard)
	delete(h.memory, p)
	return err
}

func (h *hostDriver) Pinned(n int) ([]byte, error) { return make([]byte, n), nil }
func (h *hostDriver) Unpin([]byte) error           { return nil }

// view is n bytes of device memory, which must lie in one allocation.
func (h *hostDriver) view(p Ptr, n int) ([]byte, error) {
	for at, b := range h.memory {
		lo := int(at - Ptr(uintptr(unsafe.Pointer(&b[0]))))
		if p >= at && p+Ptr(n) <= at+Ptr(len(b)-3*guard) {
			off := lo + int(p-at)
			return b[off : off+n], nil
		}
	}
	return nil, fmt.Errorf("host: a copy of %d bytes outside every allocation", n)
}

func (h *hostDriver) Upload(dst Ptr, src []byte, _ Stream) error {
	h.copies["upload"]++
	b, err := h.view(dst, len(src))
	copy(b, src)
	return err
}

func (h *hostDriver) Download(dst []byte, src Ptr, _ Stream) error {
	h.copies["download"]++
	b, err := h.view(src, len(dst))
	copy(dst, b)
	return err
}

func (h *hostDriver) CopyWithin(dst, src Ptr, n int64, _ Stream) error {
	from, err := h.view(src, int(n))
	if err != nil {
		return err
	}
	to, err := h.view(dst, int(n))
	copy(to, from)
	return err
}

func (h *hostDriver) Zero(dst Ptr, n int64, _ Stream) error {
	b, err := h.view(dst, int(n))
	clear(b)
	return err
}

// Limits are an A100's.
func (h *hostDriver) Limits() (capability, shared int) { return 80, 163 << 10 }

func (h *hostDriver) Launch(kernel string, grid, block Dim, dynamic int, _ Stream, args []Arg) error {
	h.name = append(append(h.name[:0], kernel...), 0)
	types := shared.call(hostLibrary.types, uintptr(unsafe.Pointer(&h.name[0])))
	if types == 0 {
		return fmt.Errorf("host: no kernel %s", kernel)
	}
	var given []byte
	h.words, h.addresses = h.words[:0], h.addresses[:0]
	for _, a := range args {
		given = append(given, a.Type)
		h.words = append(h.words, a.Bits)
	}
	if want := cText(types); string(given) != want {
		return fmt.Errorf("host: kernel %s takes arguments %s, given %s", kernel, want, given)
	}
	for i := range h.words {
		h.addresses = append(h.addresses, unsafe.Pointer(&h.words[i]))
	}
	h.dims = [7]int32{int32(grid.X), int32(grid.Y), int32(grid.Z), int32(block.X), int32(block.Y), int32(block.Z),
		int32(dynamic)}
	r := shared.call(hostLibrary.launch, uintptr(unsafe.Pointer(&h.name[0])), uintptr(unsafe.Pointer(&h.dims[0])),
		uintptr(unsafe.Pointer(&h.addresses[0])))
	if r != 0 {
		return fmt.Errorf("host: %s", cText(r))
	}
	return nil
}

// cText copies a C string of the library.
func cText(p uintptr) string {
	b := (*[256]byte)(*(*unsafe.Pointer)(unsafe.Pointer(&p)))
	return string(b[:bytes.IndexByte(b[:], 0)])
}

func (h *hostDriver) Order(_, _ Stream) error { return nil }
func (h *hostDriver) Bind(f func()) error     { f(); return nil }
func (h *hostDriver) Handle(Stream) uintptr   { return 0 }
func (h *hostDriver) Sync() error {
	for p := range h.memory {
		if err := h.intact(p); err != nil {
			return err
		}
	}
	return nil
}

func (h *hostDriver) Close() error {
	for p := range h.memory {
		if err := h.intact(p); err != nil {
			return err
		}
	}
	if h.used != 0 {
		return fmt.Errorf("host: %d bytes were not given back", h.used)
	}
	return nil
}

// backwards runs f with threads and blocks in reverse order.
func backwards(f func()) {
	shared.call(hostLibrary.backwards, 1)
	defer shared.call(hostLibrary.backwards, 0)
	f()
}
