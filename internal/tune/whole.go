package tune

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/flops-vit/flops/internal/uierr"
)

// rates are the axis of the rate, and its values from the least, as places on that
// axis; none where it is not tried, or where its values are no numbers.
func (s *Search) rates() (axis int, order []int) {
	axis = slices.IndexFunc(s.Axes, func(a Axis) bool { return a.Key == rateKey })
	if axis < 0 || len(s.Axes[axis].Values) < 2 {
		return -1, nil
	}
	values := s.Axes[axis].Values
	x := make([]float64, len(values))
	for i, v := range values {
		var err error
		if x[i], err = strconv.ParseFloat(v, 64); err != nil {
			return -1, nil
		}
		order = append(order, i)
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	return axis, order
}

// wholes is the most whole runs that the search ends with.
func (s *Search) wholes() int {
	_, order := s.rates()
	return min(s.plan.Wholes, len(order))
}

// walk visits at most n of total places: from one, down as long as it gets better, and
// else up. visit says whether a place is the best so far, as the first one is.
func walk(from, total, n int, visit func(at int) (bool, error)) error {
	lo, hi, best, at := from, from, from, from
	for range n {
		better, err := visit(at)
		if err != nil {
			return err
		}
		if better {
			best = at
		}
		switch {
		case best == lo && lo > 0:
			lo--
			at = lo
		case best == hi && hi < total-1:
			hi++
			at = hi
		default:
			return nil
		}
	}
	return nil
}

// finish makes whole runs at the rate that short ones chose and at those beside it, for
// what long runs suffer from, short ones do not show: where images are met again and
// again, the best rate is smaller than the short runs' one says, however it is scaled.
func (s *Search) finish(ctx context.Context, o *Outcome, point []string, stop func() bool,
	tell func(*Try, bool)) error {
	n := s.wholes()
	if n < 2 {
		return nil
	}
	axis, order := s.rates()
	values := s.Axes[axis].Values
	from := slices.IndexFunc(order, func(i int) bool { return values[i] == point[axis] })
	var best *Try
	err := walk(from, len(order), n, func(at int) (bool, error) {
		t, err := s.whole(with(point, axis, values[order[at]]))
		if err != nil {
			return false, err
		}
		o.Tries = append(o.Tries, t)
		tell(t, false)
		if err := t.to(ctx, 1, stop); err != nil {
			return false, err
		}
		tell(t, true)
		if best == nil {
			best = t
			return true, nil
		}
		better, lost := s.better(t, best), t
		if better {
			best, lost = t, best
		}
		return better, lost.drop()
	})
	if err != nil {
		return err
	}
	if best.now == nil {
		return uierr.New("every whole run diverged, the last one so: "+best.Diverged,
			"try smaller rates by --over "+rateKey+"=...")
	}
	o.Best = best
	return nil
}

// whole is the run at a point, as long as the experiment's.
func (s *Search) whole(point []string) (*Try, error) {
	t, err := s.try(point)
	if err != nil {
		return nil, err
	}
	c := t.config
	c.Train.Steps, c.Train.EvalEvery, c.Optimizer = t.whole, t.whole, t.plain.Optimizer
	c.Budget.Early, c.Estimator = t.plain.Budget.Early, t.plain.Estimator
	t.config, t.dir = c, filepath.Join(filepath.Dir(filepath.Dir(t.dir)), "whole", filepath.Base(t.dir))
	return t, nil
}
