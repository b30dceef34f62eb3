//go:build linux || darwin || freebsd

package bench

import "golang.org/x/sys/unix"

// FreeDisk is the room that is left on the disk of a folder, 0: not known.
func FreeDisk(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
