package oip

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Limits bound what requests may take of a server. A field that is 0 has its default.
type Limits struct {
	Body   int64         // bytes of a request, packed and unpacked; default: a full batch in JSON, 512 MiB at most
	AtOnce int           // inferences read, waiting or answered at once; more are told to come again
	Time   time.Duration // of an inference, from its first byte to its turn at the model; and of writing its answer
}

// What a server allows that was told nothing.
const (
	DefaultAtOnce = 64
	DefaultTime   = time.Minute
	maxBody       = 1 << 29
)

// withDefaults are the limits for a model.
func (l Limits) withDefaults(s Spec) Limits {
	if l.Body == 0 {
		l.Body = min(int64(s.MaxBatch)*int64(s.Pixels())*bytesPerNumber+1<<20, maxBody)
	}
	if l.AtOnce == 0 {
		l.AtOnce = DefaultAtOnce
	}
	if l.Time == 0 {
		l.Time = DefaultTime
	}
	return l
}

// comeAgain refuses an inference that may be taken later.
func comeAgain(why, format string, a ...any) error {
	return &refusal{http.StatusServiceUnavailable, fmt.Errorf(format, a...), why}
}

// enter takes a place among the inferences under way, and gives it back by leave.
// Bodies are read by those that have a place, so that their memory is bounded.
func (h *Handler) enter() (leave func(), err error) {
	select {
	case h.places <- struct{}{}:
		return func() { <-h.places }, nil
	default:
		return nil, comeAgain(busy, "%d requests are under way, which is all that are taken at once", h.limits.AtOnce)
	}
}

// waitTurn waits for the model, until the client has left or the time is over.
func (h *Handler) waitTurn(ctx context.Context, until time.Time) error {
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	select {
	case h.turn <- struct{}{}:
		// A request whose client left while it waited is not worth the work; once
		// begun it is finished, so that what is counted was answered.
		if err := ctx.Err(); err != nil {
			<-h.turn
			return comeAgain(left, "the client left: %w", err)
		}
		return nil
	case <-ctx.Done():
		return comeAgain(left, "the client left: %w", ctx.Err())
	case <-late.C:
		return comeAgain(overdue, "the model did not get to this request within %v", h.limits.Time)
	}
}
