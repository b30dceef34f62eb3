//go:build !linux

package bench

// MemoryLimit is not known on this system: 0.
func MemoryLimit() (int64, string) { return 0, "" }
