package pages

import (
	"fmt"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/report"
	"github.com/flops-vit/flops/internal/runs"
)

// followed is a split along a run.
type followed struct {
	by         string // checkpoint.best_metric
	points     []report.EvalPoint
	evals      []*runs.Eval // of each point
	last, best *runs.Eval
}

func (f *followed) add(step int, queries int64, e *runs.Eval) {
	if e == nil {
		return
	}
	f.points = append(f.points, report.EvalPoint{Step: step, Queries: queries, Accuracy: e.Score(), Loss: e.Loss()})
	f.evals, f.last, f.best = append(f.evals, e), e, runs.Better(f.best, e, f.by)
}

// news adds what only the last checkpoint knows.
func (f *followed) news(step int, queries int64, e *runs.Eval) {
	if n := len(f.points); n == 0 || f.points[n-1].Step < step {
		f.add(step, queries, e)
	}
}

// outcome are the accuracies of a run; the best is of the split that it was
// followed by.
func outcome(r *runs.Folder, validation, test *followed) (out report.Facts) {
	accuracy := func(name string, e *runs.Eval) {
		if e != nil {
			out = append(out, report.Fact{Name: name, Value: report.Percent(e.Score())})
		}
	}
	accuracy("validation accuracy", validation.last)
	best := "best"
	if m := metric.Named(test.by); test.by != "" {
		best += " by " + m.Title
	}
	accuracy(best, validation.best)
	accuracy("test accuracy", test.last)
	if validation.last == nil {
		accuracy(best, test.best)
	} else if b := r.BestTest; b != nil {
		accuracy(fmt.Sprintf("test accuracy of step %d, the best", b.Step), &b.Eval)
	}
	return out
}

// measures are the chosen metrics along a run.
func measures(validation, test *followed) (out []report.Measure) {
	at := map[string]int{} // by the number's tag
	for _, f := range []*followed{validation, test} {
		name := data.Test
		if f == validation {
			name = data.Validation
		}
		for i, e := range f.evals {
			for _, o := range e.Chosen.Ones() {
				k, had := at[o.Tag]
				if !had {
					k = len(out)
					at[o.Tag], out = k, append(out, measureOf(o))
				}
				m := &out[k]
				if n := len(m.Splits); n == 0 || m.Splits[n-1].Name != name {
					m.Splits = append(m.Splits, report.Series{Name: name})
				}
				s := &m.Splits[len(m.Splits)-1]
				s.Xs, s.Ys = append(s.Xs, float64(f.points[i].Step)), append(s.Ys, o.Value)
			}
		}
	}
	return out
}

// measureOf is a metric as pages tell of it.
func measureOf(o metric.One) report.Measure {
	return report.Measure{Title: o.Title, About: o.Metric.About, Better: o.Metric.Better.String(),
		Percent: o.Metric.Range == metric.Share}
}
