package tune

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
)

// Progress is told of every run, before it with done false, and after it.
type Progress func(n, of int, s *Search, t *Try, done bool)

// Outcome is what the search of an experiment came to.
type Outcome struct {
	*Search
	Tries   []*Try // best first, those that were tried for longer before others
	Best    *Try
	Queries int64 // of training that all tries took
}

// Do makes the searches. What was done before is read again and not done again.
func (p *Plan) Do(ctx context.Context, stop func() bool, tell Progress) ([]Outcome, error) {
	total := 0
	for _, s := range p.Searches {
		total += s.rounds()
	}
	var out []Outcome
	n := 0
	for _, s := range p.Searches {
		o, err := s.do(ctx, stop, func(t *Try, done bool) {
			if !done {
				n++
			}
			tell(n, total, s, t, done)
		})
		if err != nil {
			return nil, s.in(err)
		}
		out = append(out, o)
	}
	return out, nil
}

// rounds is how often a try of the search is trained or looked up, at most.
func (s *Search) rounds() (n int) {
	for _, a := range s.Axes {
		for _, r := range rungs(len(a.Values)) {
			n += r.tries
		}
	}
	return n + s.wholes()
}

// do searches one axis after another.
func (s *Search) do(ctx context.Context, stop func() bool, tell func(*Try, bool)) (Outcome, error) {
	o := Outcome{Search: s}
	seen := map[string]*Try{}
	point := slices.Clone(s.point)
	for i, a := range s.Axes {
		if len(a.Values) == 1 { // the point has it
			continue
		}
		var alive []*Try
		at := map[*Try]string{}
		for _, v := range a.Values {
			t, err := s.try(with(point, i, v))
			if err != nil {
				return o, err
			}
			if had := seen[t.dir]; had != nil {
				t = had
			} else {
				seen[t.dir], o.Tries = t, append(o.Tries, t)
			}
			alive, at[t] = append(alive, t), v
		}
		best, err := s.halve(ctx, alive, stop, tell)
		if err != nil {
			return o, err
		}
		if best.now == nil {
			return o, uierr.New(fmt.Sprintf("every value of %s diverged, the last one so: %s", a.Key, best.Diverged),
				"try smaller ones by --over "+a.Key+"=...")
		}
		point[i], o.Best = at[best], best
	}
	if err := s.finish(ctx, &o, point, stop, tell); err != nil {
		return o, err
	}
	for _, t := range o.Tries {
		o.Queries += t.queries()
	}
	slices.SortStableFunc(o.Tries, func(a, b *Try) int {
		return cmp.Or(order(a == o.Best, b == o.Best), b.Step-a.Step, order(s.better(a, b), s.better(b, a)))
	})
	return o, nil
}

// Ends says which of the chosen values are the last ones of their settings, beyond
// which there may be better ones.
func (o *Outcome) Ends() (out []string) {
	for i, a := range o.Axes {
		n := len(a.Values)
		v, _ := strings.CutPrefix(o.Best.Sets[i], a.Key+"=")
		if n > 2 && (v == a.Values[0] || v == a.Values[n-1]) {
			out = append(out, fmt.Sprintf("%s=%s is at the end of what was tried; --over %s=... goes further", a.Key, v, a.Key))
		}
	}
	return out
}

// halve lets the better half of the tries go on until one is chosen.
func (s *Search) halve(ctx context.Context, alive []*Try, stop func() bool, tell func(*Try, bool)) (*Try, error) {
	for _, r := range rungs(len(alive)) {
		for _, t := range alive[r.tries:] {
			if err := t.drop(); err != nil {
				return nil, err
			}
		}
		alive = alive[:r.tries]
		for _, t := range alive {
			tell(t, false)
			if err := t.to(ctx, r.length, stop); err != nil {
				return nil, err
			}
			tell(t, true)
		}
		slices.SortStableFunc(alive, func(a, b *Try) int { return order(s.better(a, b), s.better(b, a)) })
	}
	for _, t := range alive[1:] {
		if err := t.drop(); err != nil {
			return nil, err
		}
	}
	return alive[0], nil
}

// order is that of two of which a or b comes first.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// better says whether a try did better in this round than another, which one that
// diverged did not.
func (s *Search) better(a, b *Try) bool {
	if a.now == nil || b.now == nil {
		return a.now != nil && b.now == nil
	}
	by := s.plan.By
	if by == Accuracy {
		by = ""
	}
	return runs.Better(b.now, a.now, by) == a.now
}
