// Package pipe lets another program share its queries out by an allocator: a line
// of JSON about a batch in, a line with the counts out. docs/protocol.md describes
// the lines.
package pipe

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/uierr"
)

// maxLine is the longest line that is read, in bytes.
const maxLine = 256 << 20

// Options of a pipe.
type Options struct {
	Allocator alloc.Allocator
	Seed      uint64
	Budget    int // queries of a step; 0: PerItem times its items
	PerItem   int // 0, where Budget is 0 too: every line says its budget
}

// answer is what a line is answered with.
type answer struct {
	Step   int       `json:"step"`
	Counts []int     `json:"counts,omitempty"`
	Ratio  *float64  `json:"ratio,omitempty"` // of the step that the line fed back, against equal shares
	Params []float64 `json:"params,omitempty"`
}

// pipe is the state between lines.
type pipe struct {
	Options
	next int            // number of the next step
	last *alloc.Signals // of the step that waits for feedback
	n    []int          // its counts
}

// Run answers lines until there are no more. A line that is wrong ends it with a
// user's error that names the line; those before it are answered.
func Run(in io.Reader, out io.Writer, o Options) error {
	s := bufio.NewScanner(in)
	s.Buffer(nil, maxLine)
	p := &pipe{Options: o}
	number := 0
	for s.Scan() {
		number++
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		a, err := p.answer(s.Bytes())
		if err != nil {
			return at(number, err)
		}
		b, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return at(number+1, uierr.Wrap(s.Err(), fmt.Sprintf("longer than %d bytes", maxLine),
			"send features of fewer numbers, or none"))
	}
	return s.Err()
}

// at says which line a mistake is in.
func at(number int, err error) error {
	e, ok := uierr.As(err)
	if !ok {
		return fmt.Errorf("line %d: %w", number, err)
	}
	return uierr.Wrap(err, fmt.Sprintf("line %d: %s", number, e.What), e.Hint)
}

// answer observes what a line feeds back and then shares out what it asks for.
func (p *pipe) answer(raw []byte) (*answer, error) {
	l, err := parse(raw)
	if err != nil {
		return nil, err
	}
	var a answer
	if l.Feedback != nil {
		if err := p.observe(l.Feedback, &a); err != nil {
			return nil, err
		}
	}
	if l.Losses != nil {
		err = p.allocate(l, &a)
	}
	if q, ok := p.Allocator.(alloc.Parameters); ok {
		a.Params = q.Params()
	}
	return &a, err
}

func (p *pipe) observe(f *feedback, a *answer) error {
	if p.last == nil {
		return uierr.New("feedback of no step", "feed every step back once, after the line that asked for its counts")
	}
	v, err := f.variance(len(p.n))
	if err != nil {
		return err
	}
	s := p.last
	p.Allocator.Observe(alloc.Feedback{Step: s.Step, IDs: s.IDs, Counts: p.n, Asked: wholes[int](f.Asked), Variance: v})
	ratio := alloc.Ratio(v, p.n)
	a.Step, a.Ratio, p.last = s.Step, &ratio, nil
	return nil
}

func (p *pipe) allocate(l *line, a *answer) error {
	step := p.next
	if l.Step != nil {
		step = *l.Step
	}
	budget := p.Budget
	switch {
	case l.Budget != nil:
		budget = *l.Budget
	case budget == 0:
		budget = p.PerItem * len(l.Losses)
	}
	if budget == 0 {
		return uierr.New("no budget", `give --budget or --queries-per-item, or "budget" in the line`)
	}
	s := l.signals(step, p.Seed)
	n, err := p.Allocator.Allocate(s, budget)
	if err != nil {
		return told(err)
	}
	if step < math.MaxInt32 {
		p.next = step + 1
	}
	p.last, p.n = &s, n
	a.Step, a.Counts = step, n
	return nil
}

// told says by the words of a line what an allocator refuses.
func told(err error) error {
	var budget *alloc.BudgetError
	var signal *alloc.SignalError
	switch {
	case errors.As(err, &budget) && budget.Short():
		return uierr.Wrap(err, fmt.Sprintf("%d queries for %d items that get at least %d each",
			budget.Budget, budget.Items, budget.Least), "raise the budget or lower --min-queries")
	case errors.As(err, &budget):
		return uierr.Wrap(err, fmt.Sprintf("%d queries cannot be spent in antithetic pairs", budget.Budget),
			"make the budget even, or give --antithetic=false")
	case errors.As(err, &signal):
		return uierr.Wrap(err, "no features, and --features cls correlates the items by them",
			`give "features", or --features loss`)
	}
	return err
}
