// Package uierr holds the one error type that reaches a user as two lines:
// what is wrong and where, and what to do about it. It is of two kinds: a
// mistake, which the user can mend, ends a command with status 2; a failure,
// which came over a command that was right (a server that is gone, a full disk,
// a run that diverges), with status 1, so that whoever tries again on 1 and
// stops on 2 does right. Every other error is a failure.
package uierr

import (
	"errors"
	"syscall"
)

// Error is what a user is told.
type Error struct {
	What    string // one line: what is wrong, and where (file, key, line)
	Hint    string // one line: what to do; may be empty
	Err     error  // the cause, for errors.Is; may be nil
	Failure bool   // not a mistake: the same command may do another time
}

// New makes a mistake from its two lines.
func New(what, hint string) *Error { return &Error{What: what, Hint: hint} }

// Wrap makes a mistake that keeps err as its cause.
func Wrap(err error, what, hint string) *Error { return &Error{What: what, Hint: hint, Err: err} }

// Failed makes a failure from its two lines and its cause, which may be nil.
func Failed(err error, what, hint string) *Error {
	return &Error{What: what, Hint: hint, Err: err, Failure: true}
}

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

// machine are the causes for which no command is to blame, whatever it says.
var machine = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EIO, syscall.EMFILE, syscall.ENFILE,
	syscall.ENOMEM}

// IsMistake says whether err is the user's: an Error with no failure among its
// causes.
func IsMistake(err error) bool {
	_, told := As(err)
	return told && !failed(err)
}

// failed looks for a failure in the whole tree of an error.
func failed(err error) bool {
	if e, ok := err.(*Error); ok && e.Failure {
		return true
	}
	switch x := err.(type) {
	case interface{ Unwrap() error }:
		return failed(x.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			if failed(e) {
				return true
			}
		}
	}
	for _, m := range machine {
		if err == m {
			return true
		}
	}
	return false
}
