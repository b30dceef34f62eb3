package oip

import (
	"fmt"
	"time"
)

// FaultKind says what a failed request means for the next try.
type FaultKind int

// The kinds of faults.
const (
	Permanent   FaultKind = iota // the same request would fail again
	Again                        // may succeed later; counts as a try
	Unreachable                  // nobody answers; worth waiting for
)

// Fault is a failed request.
type Fault struct {
	Err   error
	Kind  FaultKind
	After time.Duration // what the server asked to wait
}

// Error is the cause's.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap is the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Permanently is a Fault that would come again.
func Permanently(format string, a ...any) *Fault {
	return &Fault{Err: fmt.Errorf(format, a...), Kind: Permanent}
}

// TryAgain is a Fault that may pass.
func TryAgain(format string, a ...any) *Fault {
	return &Fault{Err: fmt.Errorf(format, a...), Kind: Again}
}
