//go:build gpu

package cuda

import "github.com/ebitengine/purego"

func init() {
	shared = loader{
		open:   func(path string) (uintptr, error) { return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL) },
		symbol: purego.Dlsym,
		call: func(fn uintptr, args ...uintptr) uintptr {
			r, _, _ := purego.SyscallN(fn, args...)
			return r
		},
	}
}
