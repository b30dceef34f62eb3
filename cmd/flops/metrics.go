package main

import (
	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/report"
	"github.com/flops-vit/flops/internal/runs"
)

// bestBy says by which metric an evaluation was the best, where that is not the
// score.
func bestBy(e *runs.Eval, by string) string {
	if by == "" || by == e.Goal {
		return ""
	}
	o := e.All().Of(by).Ones()
	if len(o) == 0 {
		return ""
	}
	return " by " + o[0].Title + ", " + o[0].Text() + ":"
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
				s.X, s.Y = append(s.X, float64(f.points[i].Step)), append(s.Y, o.V)
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

// measuredJSON are the chosen metrics of an arm over its seeds, by their tags.
type measuredJSON map[string]meanJSON

type meanJSON struct {
	Mean *float64  `json:"mean"`
	CI95 []float64 `json:"ci95"`
}

func measuredOf(a compare.ArmResult) measuredJSON {
	out := measuredJSON{}
	for _, o := range compare.MeasuresOf([]compare.ArmResult{a}) {
		m := a.Measured(o.Tag)
		out[o.Tag] = meanJSON{orNull(m.Value), interval(m)}
	}
	return out
}
