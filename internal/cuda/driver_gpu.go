//go:build gpu

package cuda

// #include <cuda.h>
// #include <stdlib.h>
import "C"

import (
	_ "embed"
	"fmt"
	"runtime"
	"unsafe"

	"gorgonia.org/cu"
)

//go:embed kernels/kernels.ptx
var ptx string

//go:embed kernels/sm80.ptx
var ptx80 string

// openLibrary opens libcuda.so.1 and returns why it cannot be used, or "".
func openLibrary() string {
	if C.flops_cuda_open() == 0 {
		return ""
	}
	return C.GoString(C.flops_cuda_missing())
}

// gpu is the CUDA driver of one device.
type gpu struct {
	dev     cu.Device
	name    string
	ctx     cu.CUContext
	modules []cu.Module // kernels.ptx, and sm80.ptx where the device runs it
	kernels map[string]cu.Function
	most    map[string]int // kernels that were allowed more shared memory than usual

	capability, shared int
	streams            [streams]cu.Stream
	order              cu.Event
	params             []unsafe.Pointer
	words              []uint64
}

func newDriver(dev cu.Device, name string, capability int) (Driver, error) {
	g := &gpu{dev: dev, name: name, capability: capability, kernels: map[string]cu.Function{}, most: map[string]int{}}
	sources := []string{ptx}
	if capability >= capability80 {
		sources = append(sources, ptx80)
	}
	var err error
	var most C.int
	if r := C.cuDeviceGetAttribute(&most, C.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
		C.CUdevice(dev)); r != 0 {
		return nil, fmt.Errorf("cuda: shared memory of %s: CUDA error %d", name, int(r))
	}
	g.shared = int(most)
	if g.ctx, err = dev.RetainPrimaryCtx(); err != nil {
		return nil, fmt.Errorf("cuda: context on %s: %w", name, err)
	}
	err = g.do("load kernels", func() error {
		for _, source := range sources {
			log := make([]byte, 8192)
			m, err := cu.LoadDataEx(source, &cu.JITErrorLogBuffer{Buffer: log})
			if err != nil {
				return fmt.Errorf("translate the kernels for %s: %w: %s", name, err, cstring(log))
			}
			g.modules = append(g.modules, m)
		}
		var err error
		for i := range g.streams {
			if g.streams[i], err = cu.MakeStream(cu.NonBlocking); err != nil {
				return err
			}
		}
		g.order, err = cu.MakeEvent(cu.DisableTiming)
		return err
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// do runs f on a thread whose current context is the device's.
func (g *gpu) do(what string, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cu.SetCurrentContext(g.ctx); err != nil {
		return fmt.Errorf("cuda: %s: %w", what, err)
	}
	if err := f(); err != nil {
		return fmt.Errorf("cuda: %s: %w", what, err)
	}
	return nil
}

func (g *gpu) Name() string { return g.name }

func (g *gpu) Memory() (free, total int64, err error) {
	err = g.do("memory", func() (err error) { free, total, err = cu.MemInfo(); return })
	return
}

func (g *gpu) Alloc(bytes int64) (p Ptr, err error) {
	err = g.do("allocate", func() error {
		d, err := cu.MemAlloc(bytes)
		p = Ptr(d)
		return err
	})
	return
}

func (g *gpu) Free(p Ptr) error {
	return g.do("free", func() error { return cu.MemFree(cu.DevicePtr(p)) })
}

func (g *gpu) Pinned(bytes int) (b []byte, err error) {
	err = g.do("pin memory", func() error {
		var p unsafe.Pointer
		if r := C.cuMemHostAlloc(&p, C.size_t(bytes), 0); r != 0 {
			return fmt.Errorf("%d bytes of page-locked memory: CUDA error %d", bytes, int(r))
		}
		b = unsafe.Slice((*byte)(p), bytes)
		return nil
	})
	return
}

func (g *gpu) Unpin(b []byte) error {
	return g.do("unpin memory", func() error { return cu.MemFreeHost(unsafe.Pointer(unsafe.SliceData(b))) })
}

func (g *gpu) Upload(dst Ptr, src []byte, s Stream) error {
	if len(src) == 0 {
		return nil
	}
	return g.do("upload", func() error {
		return cu.MemcpyHtoDAsync(cu.DevicePtr(dst), unsafe.Pointer(unsafe.SliceData(src)), int64(len(src)), g.streams[s])
	})
}

func (g *gpu) Download(dst []byte, src Ptr, s Stream) error {
	if len(dst) == 0 {
		return nil
	}
	return g.do("download", func() error {
		if err := cu.MemcpyDtoHAsync(unsafe.Pointer(unsafe.SliceData(dst)), cu.DevicePtr(src), int64(len(dst)),
			g.streams[s]); err != nil {
			return err
		}
		return g.streams[s].Synchronize()
	})
}

func (g *gpu) CopyWithin(dst, src Ptr, bytes int64, s Stream) error {
	return g.do("copy", func() error {
		return cu.MemcpyDtoDAsync(cu.DevicePtr(dst), cu.DevicePtr(src), bytes, g.streams[s])
	})
}

func (g *gpu) Zero(dst Ptr, bytes int64, s Stream) error {
	return g.do("clear", func() error { return cu.MemsetD8Async(cu.DevicePtr(dst), 0, bytes, g.streams[s]) })
}

func (g *gpu) Launch(kernel string, grid, block Dim, dynamic int, s Stream, args []Arg) error {
	return g.do(kernel, func() error {
		f, err := g.function(kernel, dynamic)
		if err != nil {
			return err
		}
		g.params, g.words = g.params[:0], g.words[:0]
		for _, a := range args {
			g.words = append(g.words, a.Bits)
		}
		for i := range g.words {
			g.params = append(g.params, unsafe.Pointer(&g.words[i]))
		}
		return f.Launch(grid.X, grid.Y, grid.Z, block.X, block.Y, block.Z, dynamic, g.streams[s], g.params)
	})
}

// usualShared is what a kernel may use without asking.
const usualShared = 48 << 10

// function finds a kernel and lets it use so much shared memory.
func (g *gpu) function(kernel string, dynamic int) (f cu.Function, err error) {
	f, ok := g.kernels[kernel]
	for i := 0; !ok; i++ {
		if f, err = g.modules[i].Function(kernel); err == nil {
			g.kernels[kernel], ok = f, true
		} else if i+1 == len(g.modules) {
			return f, err
		}
	}
	if dynamic <= max(usualShared, g.most[kernel]) {
		return f, nil
	}
	// A cu.Function is a struct of the one handle.
	handle := *(*C.CUfunction)(unsafe.Pointer(&f))
	if r := C.cuFuncSetAttribute(handle, C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(dynamic)); r != 0 {
		return f, fmt.Errorf("%d bytes of shared memory: CUDA error %d", dynamic, int(r))
	}
	g.most[kernel] = dynamic
	return f, nil
}

func (g *gpu) Limits() (capability, shared int) { return g.capability, g.shared }

func (g *gpu) Order(before, after Stream) error {
	return g.do("order streams", func() error {
		if err := g.order.Record(g.streams[before]); err != nil {
			return err
		}
		return g.streams[after].Wait(g.order, 0)
	})
}

// Handle is the CUstream, which cu keeps in a struct of that one field.
func (g *gpu) Handle(s Stream) uintptr { return *(*uintptr)(unsafe.Pointer(&g.streams[s])) }

func (g *gpu) Bind(f func()) error {
	return g.do("make current", func() error { f(); return nil })
}

func (g *gpu) Sync() error { return g.do("wait", cu.Synchronize) }

func (g *gpu) Close() error {
	err := g.do("close", func() error {
		for i := range g.streams {
			if err := g.streams[i].Destroy(); err != nil {
				return err
			}
		}
		if err := cu.DestroyEvent(&g.order); err != nil {
			return err
		}
		for _, m := range g.modules {
			if err := m.Unload(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := g.dev.ReleasePrimaryCtx(); err != nil {
		return fmt.Errorf("cuda: close %s: %w", g.name, err)
	}
	return nil
}
