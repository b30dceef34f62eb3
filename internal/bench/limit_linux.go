package bench

import (
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MemoryLimit is the most bytes that this process may hold, and what says so: its
// control groups or ulimit -v, whichever is less. 0: nothing does.
func MemoryLimit() (int64, string) {
	limit, by := groupLimit(os.DirFS("/"))
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_AS, &r) == nil && r.Cur < math.MaxInt64 {
		// The limit is on addresses, of which Go reserves more than it holds.
		if n := int64(r.Cur) - (status("VmSize:")-status("VmRSS:"))<<10; limit == 0 || n < limit {
			return max(1, n), "ulimit -v"
		}
	}
	return limit, by
}

// groupLimit is the least limit of the process's control groups and those above
// them, of version 2 and of version 1.
func groupLimit(root fs.FS) (int64, string) {
	raw, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, ""
	}
	least := int64(0)
	for line := range strings.Lines(string(raw)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		base, name := "sys/fs/cgroup", "memory.max"
		if part[1] == "memory" {
			base, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if part[1] != "" {
			continue
		}
		for at := path.Clean("/" + part[2]); ; at = path.Dir(at) {
			text, err := fs.ReadFile(root, path.Join(base, at, name))
			// "max" is no number, and version 1 says nothing with a huge one.
			n, bad := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			if err == nil && bad == nil && n > 0 && n < 1<<60 && (least == 0 || n < least) {
				least = n
			}
			if at == "/" {
				break
			}
		}
	}
	return least, "the control group"
}
