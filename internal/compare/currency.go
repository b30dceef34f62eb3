package compare

import "math"

// Currency is what arms are looked at for at equal cost: the accuracy of each at the
// last evaluation that the cost of the cheapest arm pays for, on the split along
// which the curves are.
type Currency struct {
	Name     string // queries, operations, seconds
	Limit    float64
	Accuracy []Mean // by arm, NaN where it has nothing of the kind
	Loss     []Mean
}

// clock is the seconds of a point, NaN where they are not known.
func (p Point) clock() float64 {
	if p.Seconds == 0 {
		return math.NaN()
	}
	return p.Seconds
}

// Currencies are queries of training, floating-point operations, which a run spends
// evenly over its steps, and seconds of training. One that no two arms have is left
// out; so are arms without queries from the first.
func Currencies(arms []ArmResult) (out []Currency) {
	for _, c := range []struct {
		name  string
		total func(ArmResult) float64
		at    func(Result, Point) float64
	}{
		{"queries", func(a ArmResult) float64 {
			if a.Match != MatchQueries {
				return math.NaN()
			}
			return a.Queries
		}, func(_ Result, p Point) float64 { return float64(p.Queries) }},
		{"operations", func(a ArmResult) float64 { return a.FLOPs }, func(r Result, p Point) float64 {
			return float64(r.FLOPs) * float64(p.Step) / float64(max(1, r.Steps))
		}},
		{"seconds", func(a ArmResult) float64 { return a.Seconds }, func(_ Result, p Point) float64 { return p.clock() }},
	} {
		one := Currency{Name: c.name, Limit: math.Inf(1)}
		n := 0
		for _, a := range arms {
			if t := c.total(a); t > 0 {
				n++
				one.Limit = min(one.Limit, t)
			}
		}
		if n < 2 {
			continue
		}
		for _, a := range arms {
			var accuracy, loss []float64
			for _, r := range a.Runs {
				p := r.within(one.Limit, c.at)
				if !(c.total(a) > 0) {
					p = nil
				}
				accuracy, loss = append(accuracy, p.accuracy()), append(loss, p.loss())
			}
			one.Accuracy, one.Loss = append(one.Accuracy, MeanOf(accuracy)), append(one.Loss, MeanOf(loss))
		}
		out = append(out, one)
	}
	return out
}

// slack is how far beyond a limit a point still counts as within: the last steps of
// arms that were given the same differ by less than this.
const slack = 1.02

// within is the last point that a limit pays for, nil where there is none.
func (r Result) within(limit float64, at func(Result, Point) float64) (last *Point) {
	for i, p := range r.Curve {
		if at(r, p) <= slack*limit {
			last = &r.Curve[i]
		}
	}
	return last
}

func (p *Point) accuracy() float64 {
	if p == nil {
		return math.NaN()
	}
	return p.Accuracy
}

func (p *Point) loss() float64 {
	if p == nil {
		return math.NaN()
	}
	return p.Loss
}
