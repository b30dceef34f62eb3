package cuda

import "errors"

// loader opens shared libraries and calls their functions. Builds without CUDA
// have none, and with it no dynamic linking: they stay static programs. An address
// among a call's arguments must be that of an object on the heap: to the runtime it is
// a number, which it does not follow when a stack moves, as it may before the call.
type loader struct {
	open   func(path string) (uintptr, error)
	symbol func(lib uintptr, name string) (uintptr, error)
	call   func(fn uintptr, args ...uintptr) uintptr
}

var shared = loader{open: func(string) (uintptr, error) { return 0, errors.New("this build opens no libraries") }}
