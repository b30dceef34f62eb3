package bench

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// PeakMiB is the high-water mark of this process's resident set, or 0 where
// the system does not say.
func PeakMiB() int64 { return status("VmHWM:") }

// ResidentMiB is the resident set now.
func ResidentMiB() int64 { return status("VmRSS:") }

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
				return kib >> 10
			}
		}
	}
	return 0
}
