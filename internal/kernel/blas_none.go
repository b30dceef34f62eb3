//go:build !((linux || darwin) && (amd64 || arm64) && !race && (openblas || darwin || (!amd64 && !static)))

package kernel

import "errors"

func libraryEngine() *engine { return nil }

func findRival() (Rival, error) {
	return nil, errors.New("this build loads no BLAS library (on amd64 under Linux: build with -tags openblas)")
}
