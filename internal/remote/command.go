package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/uierr"
)

// Command calls a model that is a program, over its standard input and output.
// It runs up to InFlight copies of the program, each answering one request at a
// time and begun when it is first needed; one that dies, or that is slower than
// the timeout, is replaced.
type Command struct {
	argv  []string
	at    string // "model.argv python3 ...": how messages name it
	spec  oip.Spec
	class int
	id    atomic.Int64
	close sync.Once
	free  chan struct{} // one token per copy that may be begun or used

	mu   sync.Mutex
	idle []*process // running and not in use; the last used is used first
}

var _ Caller = (*Command)(nil)

// StartCommand starts the program and asks it to describe itself. classes
// replaces a number of classes that the description leaves open.
func StartCommand(ctx context.Context, argv []string, classes int, p Policy) (*Command, error) {
	if len(argv) == 0 || argv[0] == "" {
		return nil, uierr.New("model.argv: is empty", "give the program and its arguments")
	}
	c := &Command{argv: argv, at: "model.argv " + argv[0], class: classes, free: make(chan struct{}, max(1, p.InFlight))}
	for range cap(c.free) {
		c.free <- struct{}{}
	}
	err := p.retrier().do(ctx, func(ctx context.Context) error {
		s, err := c.use(ctx, func(*process) error { return nil })
		c.spec = s
		return err
	})
	if err != nil {
		_ = c.Close() // nothing was asked yet
		return nil, err
	}
	return c, nil
}

// Spec is the model as the program describes it.
func (c *Command) Spec() oip.Spec { return c.spec }

// Close waits for the requests under way and lets the programs end: their input is closed, and after two seconds
// they are killed.
func (c *Command) Close() error {
	c.close.Do(func() {
		for range cap(c.free) {
			<-c.free
		}
		for _, p := range c.idle {
			p.end()
		}
	})
	return nil
}

// Call asks a free copy of the program for the logits of n images.
func (c *Command) Call(ctx context.Context, images []float32, n int, out []float32) error {
	_, err := c.use(ctx, func(p *process) error { return c.infer(p, images, n, out) })
	return err
}

// use runs f with a program, started and described if need be. A program in
// unknown state is not used again.
func (c *Command) use(ctx context.Context, f func(*process) error) (oip.Spec, error) {
	select {
	case <-c.free:
		defer func() { c.free <- struct{}{} }()
	case <-ctx.Done():
		return oip.Spec{}, &oip.Fault{Kind: oip.Again,
			Err: fmt.Errorf("%s: no free copy within model.timeout: %w", c.at, ctx.Err())}
	}
	p, err := c.take(), error(nil)
	if p == nil {
		if p, err = start(c.argv); err != nil {
			return oip.Spec{}, &oip.Fault{Kind: oip.Permanent,
				Err: uierr.Wrap(err, fmt.Sprintf("%s: cannot be started: %v", c.at, err),
					"give the program and its arguments as a list, as in [python3, model.py]")}
		}
	}
	stop := context.AfterFunc(ctx, p.kill)
	if p.spec.Name == "" {
		err = c.describe(p)
	}
	if err == nil {
		err = f(p)
	}
	if inTime := stop(); !inTime {
		err = &oip.Fault{Kind: oip.Again, Err: fmt.Errorf("%s: no answer within model.timeout: %w", c.at, ctx.Err())}
	}
	spec := p.spec
	if err != nil {
		// A program that broke off has ended or is about to; one that talks
		// nonsense, or is late, has not.
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) {
			p.ended()
		}
		p.kill()
		return spec, c.explain(p, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, p)
	return spec, nil
}

// take is a program that runs and is idle, or nil.
func (c *Command) take() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) == 0 {
		return nil
	}
	p := c.idle[len(c.idle)-1]
	c.idle = c.idle[:len(c.idle)-1]
	return p
}

func (c *Command) describe(p *process) error {
	h, _, err := p.exchange(frameHeader{Type: "describe"}, nil, 0)
	if err != nil {
		return err
	}
	if h.Type != "model" || h.Name == "" {
		return c.wrong("describe: type is %q and name %q, want a named model", h.Type, h.Name)
	}
	s, err := (&oip.Metadata{Name: h.Name, Inputs: h.Inputs, Outputs: h.Outputs}).Spec(c.class)
	if err != nil {
		return c.wrong("describe: %w", err)
	}
	if c.spec.Name != "" && !reflect.DeepEqual(s, c.spec) {
		return c.wrong("describe: the program started again describes another model")
	}
	p.spec = s
	return nil
}

func (c *Command) infer(p *process, images []float32, n int, out []float32) error {
	s, id := p.spec, c.id.Add(1)
	req := frameHeader{Type: "infer", ID: id, Shape: s.WireShape(int64(n))}
	h, v, err := p.exchange(req, s.Arranged(images, n), int64(4*n*s.Classes))
	switch {
	case err != nil:
		return err
	case h.Type == "error" && h.Retry:
		return oip.TryAgain("%s: says: %.200q", c.at, h.Error)
	case h.Type == "error":
		return c.wrong("error: %.200q", h.Error)
	case h.Type != "logits" || h.ID != id:
		return c.wrong("type is %q and id %d, want logits and %d", h.Type, h.ID, id)
	}
	if err := s.CheckLogits("logits", h.Shape, n); err != nil {
		return c.wrong("%w", err)
	}
	if len(v) != n*s.Classes {
		return c.wrong("bytes is %d, the shape says %d", 4*len(v), 4*n*s.Classes)
	}
	if err := s.CheckFinite("logits", v); err != nil {
		return c.wrong("%w", err)
	}
	copy(out, v)
	return nil
}

func (c *Command) wrong(format string, a ...any) error {
	err := fmt.Errorf(format, a...)
	return &oip.Fault{Kind: oip.Permanent,
		Err: uierr.Wrap(err, fmt.Sprintf("%s: answer: %v", c.at, err),
			"the program must speak the framing of docs/protocol.md")}
}

// explain classes what went wrong in a pipe: noise on it is for good, an end of
// the program may be repaired by another start.
func (c *Command) explain(p *process, err error) error {
	var f *oip.Fault
	if errors.As(err, &f) {
		return err
	}
	if errors.Is(err, errFraming) {
		return &oip.Fault{Kind: oip.Permanent,
			Err: uierr.Wrap(err, fmt.Sprintf("%s: its standard output is %v", c.at, err),
				"print everything but frames to standard error")}
	}
	how := "does not end"
	if p.ended() {
		how = p.cmd.ProcessState.String()
	}
	said := strings.TrimSpace(p.stderr.String())
	if said != "" {
		said = fmt.Sprintf("; its last words: %q", said)
	}
	return oip.TryAgain("%s: the program ended (%s)%s: %w", c.at, how, said, err)
}
