package ui

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/flops-vit/flops/internal/uierr"
)

// Output is standard output that remembers what could not be written to it, so
// that no command has to look at every line that it prints, and none ends with
// status 0 whose result nobody got.
type Output struct {
	f   *os.File
	mu  sync.Mutex
	err error
}

// NewOutput writes to f.
func NewOutput(f *os.File) *Output { return &Output{f: f} }

// Write writes p, and nothing more after a failure.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.f.Write(p)
	o.err = err
	return n, err
}

// Fd is the file's descriptor, by which a terminal is known.
func (o *Output) Fd() uintptr { return o.f.Fd() }

// Failed is how a command ended, in two lines where that is the first failure to
// write; err is what the command itself says.
func (o *Output) Failed(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil || err != nil && !errors.Is(err, o.err) {
		return err
	}
	return uierr.Failed(o.err, fmt.Sprintf("standard output: %v", o.err),
		"what was printed is not whole; make room where it goes and print it again")
}
