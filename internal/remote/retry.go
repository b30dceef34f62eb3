package remote

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/uierr"
)

// Policy says how a model is called.
type Policy struct {
	InFlight int           // requests under way at once, at least 1
	MaxBatch int           // images of one request, at least 1
	Retries  int           // tries after the first
	Timeout  time.Duration // of one request; 0: none
	Backoff  time.Duration // wait before the first retry, doubled for each next; 0: 250 ms
	Log      func(string)  // one line of news (a server that is waited for); nil: silence
}

const (
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 15 * time.Second
	// grace is how long requests under way may go on after the run is asked to
	// stop: an answer that is on its way should be kept, not lost.
	grace = 5 * time.Second
)

// Patience is how long a server that nobody answers at is waited for, and the
// longest Retry-After that is honoured: as long as Retries requests may take.
func (p Policy) Patience() time.Duration {
	t := p.Timeout
	if t == 0 {
		t = 30 * time.Second
	}
	return time.Duration(p.Retries) * t
}

func (p Policy) retrier() *retrier { return &retrier{p: p, sleep: sleep} }

// retrier repeats a request by the policy. sleep is replaced by tests.
type retrier struct {
	p     Policy
	sleep func(context.Context, time.Duration) error
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do calls f until it succeeds, fails for good, or has failed Retries times
// more than once. While nobody answers at all it is called until the patience
// is spent, which costs no tries: a server that is restarted comes back. The
// error it returns at last is for the user.
func (r *retrier) do(ctx context.Context, f func(context.Context) error) error {
	wait, tries := r.p.Backoff, 0
	if wait <= 0 {
		wait = firstBackoff
	}
	var waited time.Duration
	for {
		err := r.once(ctx, f)
		var bad *oip.Fault
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &bad):
			return err
		case bad.Kind == oip.Permanent:
			return final(uierr.Wrap, err, err.Error())
		}
		if bad.Kind == oip.Again {
			tries++
		}
		if bad.Kind == oip.Unreachable && waited >= r.p.Patience() {
			return final(uierr.Failed, err, fmt.Sprintf("%v (waited %v)", err, waited.Round(time.Millisecond)))
		}
		if tries > r.p.Retries {
			return final(uierr.Failed, err, fmt.Sprintf("%v (gave up after %d tries)", err, tries))
		}
		if bad.After > r.p.Patience() {
			return final(uierr.Failed, err,
				fmt.Sprintf("%v (asks to wait %v, longer than model.retries times model.timeout)", err, bad.After))
		}
		// Half to all of the wait, so that requests that failed together do not
		// come back together.
		pause := max(bad.After, wait/2+rand.N(wait/2+1))
		if bad.Kind == oip.Unreachable {
			if waited == 0 && r.p.Log != nil {
				r.p.Log(fmt.Sprintf("%v; waiting for it up to %v", err, r.p.Patience()))
			}
			pause = min(pause, max(time.Millisecond, r.p.Patience()-waited))
			waited += pause
		} else {
			waited = 0
		}
		if err := r.sleep(ctx, pause); err != nil {
			return err
		}
		wait = min(2*wait, lastBackoff)
	}
}

// final is the error for the user, once. A server that does not answer is a
// failure; one that answers for good that it will not is named wrong.
func final(kind func(error, string, string) *uierr.Error, err error, what string) error {
	if _, ok := uierr.As(err); ok {
		return err
	}
	return kind(err, what,
		"check that the model is up and answers; model.timeout, model.retries and model.in_flight say how long and how "+
			"hard it is tried")
}

// once is one try within the timeout. When the run is asked to stop, a request
// under way has the grace to finish.
func (r *retrier) once(ctx context.Context, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var one context.Context
	var cancel context.CancelFunc
	if r.p.Timeout > 0 {
		one, cancel = context.WithTimeout(context.WithoutCancel(ctx), r.p.Timeout)
	} else {
		one, cancel = context.WithCancel(context.WithoutCancel(ctx))
	}
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(grace, cancel)
		context.AfterFunc(one, func() { t.Stop() })
	})
	defer stop()
	return f(one)
}
