// Package ui is what a person sees: errors with hints, tables that fit 80
// columns, progress on a terminal or in plain or JSON lines, and numbers in
// human units.
package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// Exit statuses.
const (
	StatusFailure   = 1   // something went wrong that the command did not ask for; it may do another time
	StatusMistake   = 2   // the command, or a file that it names, is wrong; the user can mend it
	StatusInterrupt = 130 // stopped by a signal
)

// ErrInterrupted says that a signal ended the work and everything is saved.
var ErrInterrupted = errors.New("interrupted")

// Fail prints an error and returns the exit status it stands for: one line
// saying what and where, one saying what to do.
func Fail(w io.Writer, err error) int {
	if errors.Is(err, ErrInterrupted) || errors.Is(err, context.Canceled) {
		return StatusInterrupt
	}
	fmt.Fprintf(w, "flops: error: %s\n", oneLine(err.Error()))
	if e, ok := uierr.As(err); ok && e.Hint != "" {
		fmt.Fprintf(w, "flops: hint: %s\n", oneLine(e.Hint))
	}
	if uierr.IsMistake(err) {
		return StatusMistake
	}
	return StatusFailure
}

// oneLine folds line breaks, so that an error is one line whatever it quotes.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
