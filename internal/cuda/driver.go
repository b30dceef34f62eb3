package cuda

import "math"

// Ptr is an address in device memory; 0 is no memory.
type Ptr uint64

// Stream is a queue of the device. What is issued to one stream runs in order.
type Stream int

// The streams of a driver.
const (
	Compute Stream = iota // kernels and the copies they depend on
	Copy                  // uploads that overlap with kernels
	streams
)

// Arg is one argument of a kernel: its bits in the low bytes of a word, and its
// type as a letter: p pointer, i int32, u uint32, f float32, l int64.
type Arg struct {
	Bits uint64
	Type byte
}

// P, I, U, F and L make arguments of the kernels' parameter types: a device
// pointer, int, unsigned, float and long long.
func P(p Ptr) Arg     { return Arg{uint64(p), 'p'} }
func I(v int) Arg     { return Arg{uint64(uint32(int32(v))), 'i'} }
func U(v uint32) Arg  { return Arg{uint64(v), 'u'} }
func F(v float32) Arg { return Arg{uint64(math.Float32bits(v)), 'f'} }
func L(v int64) Arg   { return Arg{uint64(v), 'l'} }

// Dim is the size of a grid or of a block of threads.
type Dim struct{ X, Y, Z int }

// Driver is what the package needs of a device. The CUDA driver is one (build
// tag gpu); the tests have another, which runs the same kernels compiled for
// the host, so that everything above this interface is exercised without a GPU.
// Its methods may be called from any goroutine, one at a time.
type Driver interface {
	// Name is what a person calls the device.
	Name() string
	// Memory is the device memory not yet allocated and in all, in bytes.
	Memory() (free, total int64, err error)
	// Alloc takes device memory, aligned to 256 bytes.
	Alloc(bytes int64) (Ptr, error)
	// Free gives memory of Alloc back.
	Free(Ptr) error
	// Pinned takes page-locked host memory, from which copies run while the
	// host goes on. Unpin gives it back.
	Pinned(bytes int) ([]byte, error)
	Unpin([]byte) error
	// Upload copies to the device. src may be changed after Sync or, where it
	// is not pinned, at once.
	Upload(dst Ptr, src []byte, s Stream) error
	// Download copies from the device and returns when dst is filled, after
	// everything issued to the stream before.
	Download(dst []byte, src Ptr, s Stream) error
	// CopyWithin copies device memory to other device memory.
	CopyWithin(dst, src Ptr, bytes int64, s Stream) error
	// Zero clears device memory.
	Zero(dst Ptr, bytes int64, s Stream) error
	// Limits are the compute capability, 10·major + minor, and the most shared memory
	// of a block, in bytes.
	Limits() (capability, shared int)
	// Launch runs a kernel by its name. dynamic is the bytes of shared memory of a
	// block beside what the kernel declares.
	Launch(kernel string, grid, block Dim, dynamic int, s Stream, args []Arg) error
	// Order lets what is issued to after from now on wait for what was issued
	// to before until now.
	Order(before, after Stream) error
	// Handle is the driver's own handle of a stream, for libraries (cuBLAS)
	// that issue work to it.
	Handle(s Stream) uintptr
	// Bind runs f on a thread on which the device is current, as libraries that
	// take a Handle expect.
	Bind(f func()) error
	// Sync waits for everything issued and reports what went wrong in it.
	Sync() error
	// Close gives everything back.
	Close() error
}
