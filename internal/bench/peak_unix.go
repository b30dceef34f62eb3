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

// residentKiB is not known here: 0.
func residentKiB() int64 { return 0 }
