package bench

import "golang.org/x/sys/windows"

// FreeDisk is the room that is left on the disk of a folder, 0: not known.
func FreeDisk(dir string) int64 {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0
	}
	var free uint64
	if windows.GetDiskFreeSpaceEx(name, &free, nil, nil) != nil {
		return 0
	}
	return int64(free)
}
