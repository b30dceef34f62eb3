//go:build !gpu

package cuda

import "github.com/flops-vit/flops/internal/uierr"

const notBuilt = "this build of flops has no CUDA"

// Available says whether a CUDA device can be opened, and if not, why.
func Available() (ok bool, reason string) { return false, notBuilt }

// OpenDriver opens a device ("cuda", "cuda:1"). In this build there is none.
func OpenDriver(spec string) (Driver, error) {
	if _, err := ordinal(spec); err != nil {
		return nil, err
	}
	return nil, uierr.New("train.device: "+spec+": "+notBuilt,
		"build it with `make build-gpu` and run bin/flops-gpu, or set train.device: cpu")
}
