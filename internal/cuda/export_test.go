package cuda

import (
	"testing"
	"time"
)

// counted counts the kernels that a driver is asked to run.
type counted struct {
	Driver
	launches *int
}

func (c counted) Launch(kernel string, grid, block Dim, dynamic int, s Stream, args []Arg) error {
	*c.launches++
	return c.Driver.Launch(kernel, grid, block, dynamic, s, args)
}

// OpenHost makes Open give devices of a test until it ends, and counts the
// kernels that they run.
func OpenHost(t testing.TB) (launches *int) {
	newHostDriver(t).Close() // skips the test where there is none
	launches = new(int)
	was := openDriver
	openDriver = func(string) (Driver, error) { return counted{newHostDriver(t), launches}, nil }
	t.Cleanup(func() { openDriver = was })
	return launches
}

// Clock times the kernels and library calls of a model from now on; sum is what they
// took since.
func Clock(m *Model) (sum func() time.Duration) {
	c := clock(m)
	return func() time.Duration { return c.sum }
}
