package cuda

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"unsafe"
)

// blasNames are what cuBLAS is called, newest first. Only what the system
// already has is opened; nothing is shipped.
var blasNames = []string{"libcublas.so.13", "libcublas.so.12", "libcublas.so"}

// blasPaths lists where cuBLAS may be: FLOPS_CUBLAS alone when it is set, else
// the loader's own search, the toolkit, and the folders of pip's packages.
func blasPaths() []string {
	if p := os.Getenv("FLOPS_CUBLAS"); p != "" {
		return []string{p}
	}
	paths := append([]string{}, blasNames...)
	roots := []string{"/usr/local/cuda/lib64", "/usr/local/cuda/targets/*/lib"}
	for _, lib := range []string{"/usr/lib", "/usr/local/lib", os.Getenv("VIRTUAL_ENV") + "/lib",
		os.Getenv("HOME") + "/.local/lib"} {
		for _, pack := range []string{"dist-packages", "site-packages"} {
			roots = append(roots, lib+"/python3*/"+pack+"/nvidia/cublas/lib", lib+"/python3*/"+pack+"/nvidia/cu1?/lib")
		}
	}
	for _, name := range blasNames {
		for _, root := range roots {
			found, _ := filepath.Glob(filepath.Join(root, name)) // the pattern is ours and well formed
			sort.Strings(found)
			paths = append(paths, found...)
		}
	}
	return paths
}

// openBLAS lets cuBLAS compute the matrix products from now on. Where it is
// not found, the package's own kernels go on in float32, and the error says
// so; nothing else changes. The device's workspace for batches must be set.
func (d *Device) openBLAS(p Precision) error {
	if d.Handle(Compute) == 0 {
		return errors.New("this driver runs no libraries")
	}
	var last error
	for _, path := range blasPaths() {
		lib, err := shared.open(path)
		if err != nil {
			last = err
			continue
		}
		b, err := newBLAS(d.Driver, lib, path, p)
		if err == nil {
			err = b.start(d.Handle(Compute))
		}
		if err == nil {
			d.blas = b
			dir, file := filepath.Split(path)
			// Without it, which Engine then shows, a kernel adds the bias.
			_ = b.openLt(dir+strings.Replace(file, "libcublas", "libcublasLt", 1), d.Handle(Compute))
			return nil
		}
		last = err
	}
	return fmt.Errorf("cuBLAS was not found: %w", last)
}

// newBLAS finds the entry points. They are called with the device current, which
// the library takes for its own.
func newBLAS(d Driver, lib uintptr, path string, p Precision) (*blas, error) {
	b := &blas{name: filepath.Base(path), device: d.Name(), sync: d.Sync, precision: p, call: func(fn uintptr, args ...uintptr) uintptr {
		var status uintptr
		if err := d.Bind(func() { status = shared.call(fn, args...) & 0xffffffff }); err != nil {
			return 1 // CUBLAS_STATUS_NOT_INITIALIZED
		}
		return status
	}}
	for name, fn := range map[string]*uintptr{"cublasCreate_v2": &b.create, "cublasDestroy_v2": &b.destroy,
		"cublasSetStream_v2": &b.setStream,
		"cublasGemmEx":       &b.gemm, "cublasGemmStridedBatchedEx": &b.strided, "cublasGemmBatchedEx": &b.batched} {
		a, err := shared.symbol(lib, name)
		if err != nil {
			return nil, fmt.Errorf("cuda: %s: %w", path, err)
		}
		*fn = a
	}
	return b, nil
}

// start makes the library's handle and lets it work on a stream.
func (b *blas) start(stream uintptr) error {
	if r := b.call(b.create, uintptr(unsafe.Pointer(&b.handle))); r != 0 {
		return fmt.Errorf("cuda: cublasCreate: status %d", r)
	}
	if r := b.call(b.setStream, b.handle, stream); r != 0 {
		return fmt.Errorf("cuda: cublasSetStream: status %d", r)
	}
	return nil
}
