//go:build darwin || freebsd

package bench

import "golang.org/x/sys/unix"

// PeakMiB is the high-water mark of this process's resident set.
func PeakMiB() int64 {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return int64(r.Maxrss) >> 20
}

// ResidentMiB is not known here.
func ResidentMiB() int64 { return 0 }
