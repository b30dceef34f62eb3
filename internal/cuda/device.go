package cuda

import (
	"fmt"

	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// Precision of the matrix products.
type Precision string

// The precisions: TF32 and BF16 round the factors of a product to 10 and 7 bits
// of mantissa and add in float32; they need cuBLAS. Everything else always
// computes in float32.
const (
	FP32 Precision = "fp32"
	TF32 Precision = "tf32"
	BF16 Precision = "bf16"
)

// Noise is the source of directions as the device makes it.
type Noise struct {
	Seed       uint64
	Rademacher bool
}

// NoiseOf reads estimator.noise and estimator.qmc. Low-discrepancy directions
// are not made on the device, and saying so is better than making them on the
// host and copying them.
func NoiseOf(kind, qmc string, seed uint64) (Noise, error) {
	if qmc != "" && qmc != "none" {
		return Noise{}, uierr.New("estimator.qmc: "+qmc+" directions are not made on a GPU",
			"set estimator.qmc: none, or train.device: cpu")
	}
	if kind != "gaussian" && kind != "rademacher" {
		return Noise{}, uierr.New(fmt.Sprintf("estimator.noise: no such choice: %q", kind),
			"choose one of: gaussian, rademacher")
	}
	return Noise{Seed: seed, Rademacher: kind == "rademacher"}, nil
}

// host is the same source on the host.
func (n Noise) host() noise.Source {
	if n.Rademacher {
		return noise.Rademacher(n.Seed)
	}
	return noise.Gaussian(n.Seed)
}

func (n Noise) args() []Arg {
	r := 0
	if n.Rademacher {
		r = 1
	}
	return []Arg{I(r), U(uint32(n.Seed)), U(uint32(n.Seed >> 32))}
}

// Device is a driver with its matrix products and one method per kernel. Its
// methods issue work and return; an error of the work itself comes from Sync
// or a Download.
type Device struct {
	Driver
	noise Noise
	blas  *blas             // nil: the package's own GEMM
	next  map[string]string // weights that stand one after another in bf16 (neighbours)
	plain bool              // maps are not joined, and residuals stay in floats

	// pointers is workspace for the operand lists of batched products: room
	// for 3·pointerRoom addresses, in chunks of which a batch is cut.
	pointers    Ptr
	pointerRoom int
}

// NewDevice puts the kernels over a driver. With a precision other than fp32,
// or where one is found, cuBLAS computes the matrix products.
func NewDevice(d Driver, n Noise) *Device { return &Device{Driver: d, noise: n} }

// Engine says what computes the matrix products.
func (d *Device) Engine() string {
	if d.blas == nil {
		return "own kernels (fp32)"
	}
	return fmt.Sprintf("%s (%s)", d.blas.library(), d.blas.precision)
}

// halves says that products of bf16 are computed: a precision below float32 is asked
// for, cuBLASLt is open, and the device runs the kernels of sm80.
func (d *Device) halves() bool {
	if d.blas == nil || d.blas.lt == nil || d.blas.precision == FP32 {
		return false
	}
	capability, _ := d.Limits()
	return capability >= capability80
}

// capability80 is the first compute capability that multiplies bf16.
const capability80 = 80

// blockThreads is the size of a block of kernels that take one element or one
// row per thread or warp.
const blockThreads = 256

func blocks(n, per int64) int { return int((n + per - 1) / per) }

// over launches a kernel with a thread per element, for each of y.
func (d *Device) over(kernel string, n int64, y int, args ...Arg) error {
	if n <= 0 || y <= 0 {
		return nil
	}
	return d.Launch(kernel, Dim{blocks(n, blockThreads), y, 1}, Dim{blockThreads, 1, 1}, 0, Compute, args)
}

// overRows launches a kernel with a warp per row.
func (d *Device) overRows(kernel string, rows int64, args ...Arg) error {
	if rows <= 0 {
		return nil
	}
	return d.Launch(kernel, Dim{blocks(rows, blockThreads/32), 1, 1}, Dim{blockThreads, 1, 1}, 0, Compute, args)
}

func flag(b bool) Arg {
	if b {
		return I(1)
	}
	return I(0)
}
