//go:build linux || darwin || freebsd

package bench

import (
	"os"
	"runtime"
	"syscall"
)

// PeakMiBOf is the high-water mark of the resident set of a process that has
// ended, in MiB; 0 where the system does not say.
func PeakMiBOf(p *os.ProcessState) float64 {
	r, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	unit := 1024.0 // Linux and FreeBSD count KiB
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return float64(r.Maxrss) * unit / (1 << 20)
}
