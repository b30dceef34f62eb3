package kernel

// Rival is a matrix product of somebody else's to be compared with.
type Rival interface {
	// Name is the library and its version.
	Name() string
	// Sgemm computes C = A·B, dense and row-major, on the given number of
	// threads; A is m×k, B k×n, C m×n. One call at a time.
	Sgemm(m, n, k int, a, b, c []float32, threads int)
}

// FindOpenBLAS returns the OpenBLAS (or Accelerate) of this machine. On amd64
// under Linux it is looked for only in a build with the tag openblas: loading a
// library at run time ties the binary to the system's C library, and the
// default binary is static.
//
// The library keeps the number of threads of the last call, also for the engine
// of the same name.
func FindOpenBLAS() (Rival, error) { return findRival() }
