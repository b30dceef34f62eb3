//go:build amd64

package kernel

import "syscall"

// allowTiles asks the system for the tile unit's registers, once for all threads of
// the process (Linux 5.16, arch_prctl of ARCH_REQ_XCOMP_PERM).
func allowTiles() error {
	const request, tileData = 0x1023, 18
	if _, _, e := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, request, tileData, 0); e != 0 {
		return e
	}
	return nil
}
