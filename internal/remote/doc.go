// Package remote trains what stands in front of a model that can only be
// called. A Caller makes one request (an oip.Client to a server, Command to a
// program over its standard input and output); a Pool turns many images into
// requests, several under way at once, tried again when they fail, each image's
// answer kept and never asked for twice; Model is the query.Model over a Pool.
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

	"github.com/flops-vit/flops/internal/oip"
)

// Caller makes one request. Its methods may be called from several goroutines.
type Caller interface {
	Spec() oip.Spec
	// Call asks for n images (n×Pixels values) and writes n×Classes logits to
	// out, all of them finite, or returns an error and leaves out undefined. It
	// tries once.
	Call(ctx context.Context, images []float32, n int, out []float32) error
	Close() error
}
