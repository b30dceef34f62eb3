//go:build !linux && !darwin && !freebsd && !windows

package bench

// FreeDisk is not known on this system: 0.
func FreeDisk(string) int64 { return 0 }
