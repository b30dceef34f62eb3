package report

import (
	"math"
	"slices"
	"strings"
)

// Measure is a number that was measured beside accuracy and loss because someone
// chose it.
type Measure struct {
	Title   string
	About   string   // what it is, one line
	Better  string   // higher or lower
	Percent bool     // it is a share
	Splits  []Series // along a run: by step, validation before test; may be empty
}

// write is a value of it, or Missing.
func (m Measure) write(v float64) string {
	if m.Percent {
		return Percent(v)
	}
	return Fixed(v, 4)
}

// measures are the sections of the chosen metrics of a run; none without any.
func (r RunReport) measures() []Section {
	if len(r.Measures) == 0 {
		return nil
	}
	t := Table{Head: []string{"metric", "split", "last", "best"}, Text: 2, Caption: explain(r.Measures)}
	charts := Charts{}
	for _, m := range r.Measures {
		c := Chart{Title: m.Title, How: title(m.About) + "; " + m.Better + " is better.", XTitle: "step", Percent: m.Percent,
			Small: true}
		for i, s := range m.Splits {
			t.Add(m.Title, s.Name, m.write(s.Ys[len(s.Ys)-1]), m.write(m.best(s.Ys)))
			s.Color = i + 2 // as in the charts of loss and accuracy, where the batches are the first
			c.Series = append(c.Series, s)
		}
		charts = append(charts, c)
	}
	return []Section{{Title: "Metrics", Note: "What train.metrics names, at every evaluation.",
		Blocks: []Block{charts, t}}}
}

// best is the best of some values, NaN where none is a number.
func (m Measure) best(values []float64) float64 {
	v := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	switch {
	case len(v) == 0:
		return math.NaN()
	case m.Better == "lower":
		return slices.Min(v)
	}
	return slices.Max(v)
}

// explain says below a table what its columns of metrics are.
func explain(all []Measure) string {
	var out []string
	for _, m := range all {
		out = append(out, m.Title+": "+m.About+" ("+m.Better+" is better)")
	}
	return strings.Join(out, "; ")
}
