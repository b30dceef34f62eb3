//go:build !linux

package cuda

import "errors"

// openBLAS has nothing to open: CUDA is built for Linux alone.
func (d *Device) openBLAS(Precision) error { return errors.New("cuBLAS is looked for on Linux only") }
