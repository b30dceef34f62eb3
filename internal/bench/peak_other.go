//go:build !linux && !darwin && !freebsd

package bench

// PeakMiB is not known on this system: 0.
func PeakMiB() int64 { return 0 }

// ResidentMiB is not known on this system: 0.
func ResidentMiB() int64 { return 0 }
