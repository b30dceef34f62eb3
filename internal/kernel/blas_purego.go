//go:build (linux || darwin) && (amd64 || arm64) && !race && (openblas || darwin || (!amd64 && !static))

package kernel

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library is a BLAS found at run time. It is called through its Fortran
// interface, all of whose arguments are pointers, because a call by signature
// allocates.
type library struct {
	name       string
	sgemm      uintptr
	setThreads uintptr // openblas_set_num_threads, or 0
	threads    atomic.Int32
	calls      sync.Pool // of *blasCall
}

// blasCall holds the arguments of one call, which Fortran takes by address.
type blasCall struct {
	trans                  byte
	m, n, k, lda, ldb, ldc int32
	alpha, beta            float32
}

// libraryPaths are where the libraries are looked for, best first.
func libraryPaths() []string {
	if runtime.GOOS == "darwin" {
		return []string{"/System/Library/Frameworks/Accelerate.framework/Accelerate"}
	}
	return []string{"libopenblas.so.0", "libopenblas.so",
		"/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0",
		"/usr/lib/aarch64-linux-gnu/openblas-pthread/libopenblas.so.0"}
}

func openLibrary() (*library, error) {
	for _, path := range libraryPaths() {
		h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			continue
		}
		l := &library{name: "accelerate", calls: sync.Pool{New: func() any { return new(blasCall) }}}
		if l.sgemm, err = purego.Dlsym(h, "sgemm_"); err != nil {
			continue
		}
		if get, err := purego.Dlsym(h, "openblas_get_config"); err == nil {
			l.name = openBLASName(get)
			if l.setThreads, err = purego.Dlsym(h, "openblas_set_num_threads"); err != nil {
				return nil, fmt.Errorf("kernel: %s: %w", path, err)
			}
		}
		return l, nil
	}
	return nil, errors.New("no OpenBLAS or Accelerate library found")
}

// openBLASName is "openblas 0.3.21", from the library's description of itself,
// "OpenBLAS 0.3.21 DYNAMIC_ARCH ...".
func openBLASName(getConfig uintptr) string {
	var config func() string
	purego.RegisterFunc(&config, getConfig)
	name := "openblas"
	if words := strings.Fields(config()); len(words) > 1 {
		name += " " + words[1]
	}
	return name
}

// call computes row-major C = A·B, which to Fortran is Cᵀ = Bᵀ·Aᵀ.
func (l *library) call(m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	f := l.calls.Get().(*blasCall)
	*f = blasCall{trans: 'N', m: int32(m), n: int32(n), k: int32(k),
		lda: int32(lda), ldb: int32(ldb), ldc: int32(ldc), alpha: 1}
	purego.SyscallN(l.sgemm,
		uintptr(unsafe.Pointer(&f.trans)), uintptr(unsafe.Pointer(&f.trans)),
		uintptr(unsafe.Pointer(&f.n)), uintptr(unsafe.Pointer(&f.m)), uintptr(unsafe.Pointer(&f.k)),
		uintptr(unsafe.Pointer(&f.alpha)),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&f.ldb)),
		uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&f.lda)),
		uintptr(unsafe.Pointer(&f.beta)),
		uintptr(unsafe.Pointer(&c[0])), uintptr(unsafe.Pointer(&f.ldc)),
		1, 1) // the lengths of the two strings
	l.calls.Put(f)
}

// limit sets the number of threads of the library's own.
func (l *library) limit(threads int) {
	if l.setThreads != 0 && l.threads.Swap(int32(threads)) != int32(threads) {
		purego.SyscallN(l.setThreads, uintptr(threads))
	}
}

var findLibrary = sync.OnceValues(openLibrary)

// libraryEngine is the engine of the library found, on one thread, or nil.
func libraryEngine() *engine {
	l, err := findLibrary()
	if err != nil {
		return nil
	}
	l.limit(1)
	name, detail, _ := strings.Cut(l.name, " ")
	e := &engine{name: name, detail: detail, sgemm: l.call, library: true}
	if !keepsRows(e) {
		e.detail += " (rounding depends on the batch)"
		e.unsteady = true
	}
	return e
}

// keepsRows reports whether a library gives equal rows equal bits wherever they
// stand in a call. OpenBLAS's kernel for Haswell, for one, does not.
func keepsRows(e *engine) bool {
	const n, k = 40, 33
	var a [blasRows * k]float32
	var b [k * n]float32
	var c [blasRows * n]float32
	for i := range a {
		a[i] = 1 / float32(i%k+3)
	}
	for i := range b {
		b[i] = 1 / float32(i%101+7)
	}
	e.sgemm(blasRows, n, k, a[:], k, b[:], n, c[:], n)
	for i, v := range c {
		if v != c[i%n] {
			return false
		}
	}
	return true
}

func findRival() (Rival, error) {
	l, err := findLibrary()
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Name implements Rival.
func (l *library) Name() string { return l.name }

// Sgemm implements Rival.
func (l *library) Sgemm(m, n, k int, a, b, c []float32, threads int) {
	l.limit(threads)
	l.call(m, n, k, a, k, b, n, c, n)
}
