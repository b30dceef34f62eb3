package bench

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// FreeMemory is what this process can take without another losing its own: what
// the system has available, and what MemoryLimit leaves. 0: not known.
func FreeMemory() int64 {
	free := available("/proc/meminfo")
	if limit, _ := MemoryLimit(); limit > 0 {
		free = min(free, max(1, limit-residentKiB()<<10))
	}
	return free
}

// available is MemAvailable of the kernel's account of memory.
func available(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "MemAvailable:"); ok {
			var kib int64
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
