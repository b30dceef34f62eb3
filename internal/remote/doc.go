// Package remote trains what stands in front of a model that can only be
// called. A Caller makes one request (HTTP speaks the Open Inference Protocol,
// Command a program's standard input and output); a Pool turns many images into
// requests, several under way at once, tried again when they fail, each image's
// answer kept and never asked for twice; Model is the query.Model over a Pool.
// Handler and Serve answer the same protocol for a model of our own.
//
// # What is counted
//
// A query is an image whose answer came back. A request that failed before its
// answer is no query: its images are counted as Retried when they are sent
// again. Both ends then agree, because a server counts the images it answered.
// They can differ by the images of requests whose answer was computed and then
// lost on the way (a connection broken after the work, a timeout): those are
// among Retried, which bounds the difference.
package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Spec is what a model takes and gives, float32 both.
type Spec struct {
	Name                    string
	Input, Output           string // names of the tensors
	Channels, Height, Width int    // of an image
	Classes                 int    // outputs per image
	MaxBatch                int    // images of one request, 0: any number

	// Last says that the channels of a pixel stand together (NHWC), not the
	// planes of an image one after the other. Calls take planes all the same.
	Last bool
	// Preprocessing is what the model wants done to pictures; nil: its metadata do not say.
	Preprocessing *Preprocessing
	Labels        []string // names of the classes; empty: the metadata do not say
}

// Preprocessing is how the pixels that a model takes are made of a picture's
// levels, (level/255 − Mean)/Std in each channel.
type Preprocessing struct {
	Mean, Std []float32 // one number per channel
	// File is the whole of it, with how pictures are resized and cut, as a
	// preprocessor_config.json says it; nil: the metadata do not say.
	File json.RawMessage
}

// Pixels is the number of values of one image.
func (s Spec) Pixels() int { return s.Channels * s.Height * s.Width }

// Caller makes one request. Its methods may be called from several goroutines.
type Caller interface {
	Spec() Spec
	// Call asks for n images (n×Pixels values) and writes n×Classes logits to
	// out, all of them finite, or returns an error and leaves out undefined. It
	// tries once.
	Call(ctx context.Context, images []float32, n int, out []float32) error
	Close() error
}

// faultKind says what a failed request means for the next try.
type faultKind int

const (
	permanent   faultKind = iota // the same request would fail again
	again                        // may succeed later; counts as a try
	unreachable                  // nobody answers; waited for within the patience
)

// fault is a failed request.
type fault struct {
	err   error
	kind  faultKind
	after time.Duration // what the server asked to wait
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func permanently(format string, a ...any) *fault {
	return &fault{err: fmt.Errorf(format, a...), kind: permanent}
}

func tryAgain(format string, a ...any) *fault {
	return &fault{err: fmt.Errorf(format, a...), kind: again}
}
