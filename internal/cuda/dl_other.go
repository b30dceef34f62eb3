//go:build !linux

package cuda

import "errors"

var errNotLinux = errors.New("CUDA libraries are opened on Linux only")

func openShared(string) (uintptr, error) { return 0, errNotLinux }

func symbol(uintptr, string) (uintptr, error) { return 0, errNotLinux }
