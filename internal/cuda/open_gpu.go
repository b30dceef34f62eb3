//go:build gpu

package cuda

import (
	"fmt"

	"github.com/flops-vit/flops/internal/uierr"
	"gorgonia.org/cu"
)

// minCompute is the oldest compute capability that the checked-in PTX runs on
// (Turing).
const minCompute = 75

// Available says whether a CUDA device can be opened, and if not, why.
func Available() (ok bool, reason string) {
	if why := openLibrary(); why != "" {
		return false, "no CUDA device found: " + why
	}
	if n, err := cu.NumDevices(); err != nil || n == 0 {
		return false, fmt.Sprintf("no CUDA device found: the driver lists %d devices", n)
	}
	return true, ""
}

// OpenDriver opens a device ("cuda", "cuda:1") and translates the kernels for
// it.
func OpenDriver(spec string) (Driver, error) {
	i, err := ordinal(spec)
	if err != nil {
		return nil, err
	}
	if ok, why := Available(); !ok {
		return nil, uierr.New("train.device: "+spec+": "+why,
			"install the NVIDIA driver and check that nvidia-smi lists a GPU, or set train.device: cpu")
	}
	n, err := cu.NumDevices()
	if err != nil {
		return nil, fmt.Errorf("cuda: count devices: %w", err)
	}
	if i >= n {
		return nil, uierr.New(fmt.Sprintf("train.device: %s: there are %d CUDA devices, numbered from 0", spec, n),
			"nvidia-smi -L lists them")
	}
	dev := cu.Device(i)
	name, err := dev.Name()
	if err != nil {
		return nil, fmt.Errorf("cuda: device %d: %w", i, err)
	}
	major, minor, err := dev.ComputeCapability()
	if err != nil {
		return nil, fmt.Errorf("cuda: device %d: %w", i, err)
	}
	if 10*major+minor < minCompute {
		return nil, uierr.New(fmt.Sprintf("train.device: %s: %s has compute capability %d.%d, the kernels need %d.%d", spec,
			name, major, minor, minCompute/10, minCompute%10),
			"use a GPU of the Turing generation (2018) or later, or set train.device: cpu")
	}
	return newDriver(dev, name, 10*major+minor)
}
