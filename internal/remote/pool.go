package remote

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/uierr"
)

// Key names an image by the content of what is sent: the model's name, the
// shape and every pixel (SHA-256). A run that is resumed makes the same images
// bit for bit and so finds their answers, whatever it was doing when it stopped.
type Key [sha256.Size]byte

// Answers keeps what a model has answered. It is safe for concurrent use.
type Answers interface {
	// Get writes the logits of key to out and says whether they were there.
	Get(key Key, out []float32) (bool, error)
	// Put keeps the logits of an image that was not there.
	Put(key Key, logits []float32) error
	// Asked notes how many images are about to be asked for, or, negative, how
	// many were asked for in vain.
	Asked(n int) error
}

// Pool asks a Caller for many images: MaxBatch to a request, InFlight requests
// at once, each tried again by the policy.
type Pool struct {
	caller  Caller
	policy  Policy
	retry   *retrier
	meter   *Meter
	answers Answers // nil: nothing is kept
	prefix  []byte  // of every key

	elsewhere Elsewhere // nil: nobody else asks
}

// NewPool checks the policy. answers may be nil.
func NewPool(c Caller, p Policy, m *Meter, answers Answers) (*Pool, error) {
	for _, v := range []struct {
		key string
		bad bool
	}{{"in_flight", p.InFlight < 1 || p.InFlight > 1024}, {"max_batch", p.MaxBatch < 1},
		{"retries", p.Retries < 0}, {"timeout", p.Timeout < 0}} {
		if v.bad {
			return nil, uierr.New("model."+v.key+": out of range",
				"in_flight is 1 to 1024, max_batch at least 1, retries and timeout not negative")
		}
	}
	s := c.Spec()
	if s.MaxBatch > 0 {
		p.MaxBatch = min(p.MaxBatch, s.MaxBatch)
	}
	return &Pool{caller: c, policy: p, retry: p.retrier(), meter: m, answers: answers,
		prefix: fmt.Appendf(nil, "flops %q %d %d %d %d\n", s.Name, s.Channels, s.Height, s.Width, s.Classes)}, nil
}

// Spec is the model's.
func (p *Pool) Spec() oip.Spec { return p.caller.Spec() }

// Keep has a pool that kept nothing look into answers from here on, and add to
// them. What it counts starts anew at what a run has spent before.
func (p *Pool) Keep(answers Answers, spent Counts) {
	p.answers, p.meter = answers, NewMeter(p.meter.max, spent)
}

// Counts is what has been spent so far.
func (p *Pool) Counts() Counts { return p.meter.Counts() }

// Meter counts what has been spent so far.
func (p *Pool) Meter() *Meter { return p.meter }

// Close ends the caller.
func (p *Pool) Close() error { return p.caller.Close() }

// Images writes image i to dst; it is called for any i, from several goroutines,
// more than once, and always writes the same.
type Images func(i int, dst []float32)

// Ask writes the logits of n images to out, n×Classes. Images that the answers
// hold already, and images equal to one before them, are not sent. The rest are
// set aside from the budget first, all or none. When a request fails for good
// no other is begun; those under way finish and their answers are kept.
func (p *Pool) Ask(ctx context.Context, n int, image Images, out []float32) error {
	return p.ask(ctx, n, image, nil, out)
}

// ask is Ask of images that have names where name is not nil.
func (p *Pool) ask(ctx context.Context, n int, image Images, name func(int) Name, out []float32) error {
	s := p.Spec()
	keys, err := p.keys(ctx, n, image)
	if err != nil {
		return err
	}
	var send []int
	first, same := make(map[Key]int, n), make([]int, n)
	for i, k := range keys {
		f, seen := first[k]
		if !seen {
			first[k], f = i, i
		}
		same[i] = f
		if seen {
			continue
		}
		if p.answers != nil {
			ok, err := p.answers.Get(k, out[i*s.Classes:(i+1)*s.Classes])
			if err != nil {
				return err
			}
			if ok {
				continue
			}
		}
		send = append(send, i)
	}
	if err := p.meter.reserve(len(send)); err != nil {
		return err
	}
	p.meter.known(n - len(send))
	if err := p.send(ctx, send, keys, image, name, out); err != nil {
		return err
	}
	for i, f := range same {
		copy(out[i*s.Classes:(i+1)*s.Classes], out[f*s.Classes:(f+1)*s.Classes])
	}
	return nil
}

// each runs f(i) for 0..n-1 on at most so many goroutines until one fails, and
// returns the error of the lowest i.
func (p *Pool) each(ctx context.Context, n, most int, f func(i int) error) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next, failed, first := 0, n, error(nil)
	for range min(most, n) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= n || first != nil || ctx.Err() != nil
				mu.Unlock()
				if stop {
					return
				}
				if err := f(i); err != nil {
					mu.Lock()
					if i < failed {
						failed, first = i, err
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if first == nil {
		return ctx.Err()
	}
	return first
}

// keys hashes every image.
func (p *Pool) keys(ctx context.Context, n int, image Images) ([]Key, error) {
	keys, px := make([]Key, n), p.Spec().Pixels()
	room := sync.Pool{New: func() any { b := make([]float32, px); return &b }}
	err := p.each(ctx, n, p.policy.InFlight, func(i int) error {
		of := room.Get().(*[]float32)
		defer room.Put(of)
		buf := *of
		image(i, buf)
		b := make([]byte, 0, len(p.prefix)+4*px)
		b = append(b, p.prefix...)
		for _, v := range buf {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		keys[i] = sha256.Sum256(b)
		return nil
	})
	return keys, err
}

// request is images that are asked about at once.
type request struct {
	ids   []int
	image Images
	name  func(int) Name // nil: they have none
}

// send asks for the images numbered in ids.
func (p *Pool) send(ctx context.Context, ids []int, keys []Key, image Images, name func(int) Name,
	out []float32) error {
	s, batch, most := p.Spec(), p.policy.MaxBatch, p.policy.InFlight
	if p.elsewhere != nil && name != nil { // so that everybody has something to ask
		most = max(most, p.elsewhere.Room())
		batch = max(1, min(batch, (len(ids)+most-1)/most))
	}
	done := make([]bool, len(ids))
	err := p.each(ctx, (len(ids)+batch-1)/batch, most, func(c int) error {
		lo, hi := c*batch, min(len(ids), (c+1)*batch)
		y := make([]float32, (hi-lo)*s.Classes)
		if err := p.noted(hi-lo, func() error { return p.answer(ctx, request{ids[lo:hi], image, name}, y) }); err != nil {
			return err
		}
		for j, i := range ids[lo:hi] {
			row := y[j*s.Classes : (j+1)*s.Classes]
			copy(out[i*s.Classes:], row)
			done[lo+j] = true
			if p.answers != nil {
				if err := p.answers.Put(keys[i], row); err != nil {
					return fmt.Errorf("keep the model's answer: %w", err)
				}
			}
		}
		return nil
	})
	left := 0
	for _, d := range done {
		if !d {
			left++
		}
	}
	p.meter.release(left)
	return err
}

// request asks here, until it is answered or given up.
func (p *Pool) request(ctx context.Context, r request, y []float32) error {
	n, px := len(r.ids), p.Spec().Pixels()
	x := make([]float32, n*px)
	for j, i := range r.ids {
		r.image(i, x[j*px:(j+1)*px])
	}
	err := p.retry.do(ctx, func(ctx context.Context) error {
		err := p.caller.Call(ctx, x, n, y)
		var f *oip.Fault
		if err != nil && !(errors.As(err, &f) && f.Kind == oip.Unreachable) { // else nothing was sent
			p.meter.retried(n)
		}
		return err
	})
	if err == nil {
		p.meter.answered(n)
		return nil
	}
	// The model was looked at before the first request: what it does wrong now
	// is no mistake of the user's.
	if e, ok := uierr.As(err); ok {
		return uierr.Failed(err, err.Error(), e.Hint)
	}
	return err
}

// noted is f, before which n images are noted as asked for, and called off where it fails.
func (p *Pool) noted(n int, f func() error) error {
	if p.answers == nil {
		return f()
	}
	if err := p.answers.Asked(n); err != nil {
		return fmt.Errorf("keep the model's answers: %w", err)
	}
	err := f()
	if err != nil {
		err = errors.Join(err, p.answers.Asked(-n))
	}
	return err
}
