//go:build !linux && !darwin && !freebsd

package bench

// PeakMiB is not known on this system: 0.
func PeakMiB() int64 { return 0 }

// residentKiB is not known here: 0.
func residentKiB() int64 { return 0 }
