// Package uierr holds the one error type that reaches a user as two lines:
// what is wrong and where, and what to do about it. Commands that end with
// such an error exit with status 2; every other error is a failure and exits
// with status 1 (DESIGN section 7).
package uierr

import "errors"

// Error is a mistake that the user can mend.
type Error struct {
	What string // one line: what is wrong, and where (file, key, line)
	Hint string // one line: what to do; may be empty
	Err  error  // the cause, for errors.Is; may be nil
}

// New makes an Error from its two lines.
func New(what, hint string) *Error { return &Error{What: what, Hint: hint} }

// Wrap makes an Error that keeps err as its cause.
func Wrap(err error, what, hint string) *Error { return &Error{What: what, Hint: hint, Err: err} }

// Error is the first line.
func (e *Error) Error() string { return e.What }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// As finds the Error in err's chain.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}
