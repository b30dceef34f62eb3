//go:build !linux

package bench

// FreeMemory is not known on this system: 0.
func FreeMemory() int64 { return 0 }
