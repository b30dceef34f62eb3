package bench

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// PeakMiB is the high-water mark of this process's resident set, or 0 where
// the system does not say.
func PeakMiB() int64 { return status("VmHWM:") >> 10 }

// residentKiB is the resident set now.
func residentKiB() int64 { return status("VmRSS:") }

// status is a line of the kernel's account of this process, in KiB.
func status(key string) int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), key); ok {
			var kib int64
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				return kib
			}
		}
	}
	return 0
}
