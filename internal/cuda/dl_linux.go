package cuda

import "github.com/ebitengine/purego"

// openShared opens a shared library for the functions that symbol finds.
func openShared(path string) (uintptr, error) {
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func symbol(lib uintptr, name string) (uintptr, error) { return purego.Dlsym(lib, name) }
