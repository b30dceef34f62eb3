package report

import (
	"fmt"
	"image"
	"io"
	"math"
	"slices"
	"strings"
)

// CompareReport is the page of `flops compare`: several settings at equal
// numbers of queries.
type CompareReport struct {
	Title  string
	Lead   string
	Facts  Facts
	Arms   []Arm
	Config string
	Env    Facts

	Measures []Measure // the chosen metrics, of the split that the accuracies are of; may be empty

	Equal []EqualCost // the arms at equal cost, a column each; may be empty

	Validation bool // there is a validation split, along which the curves are drawn
	Untested   bool // there is no test split: the accuracies are of validation
}

// Arm is one setting over its seeds. A number that was not measured is NaN.
type Arm struct {
	Name             string
	Accuracy, Lo, Hi float64 // mean test accuracy (CompareReport.Untested) and its 95% interval
	Validation       float64 // mean validation accuracy
	// Difference is the mean accuracy less the first arm's over the same seeds,
	// with its 95% interval; NaN for the first arm.
	Difference, DifferenceLo, DifferenceHi float64
	Set                                    []string // the keys that the arm changes
	Seeds                                  int
	Queries, FLOPs                         float64      // of one run, mean over the seeds
	P                                      float64      // of the difference, corrected over the arms; NaN for the first
	Loss, LossLo, LossHi                   float64      // mean, with its 95% interval
	LossDiff, LossDiffLo, LossDiffHi       float64      // less the first arm's over the same seeds
	LossP                                  float64      // as P
	Seconds, PeakMiB                       float64      // median, and the largest
	Curve                                  []CurvePoint // by queries, ascending
	Measures                               []float64    // mean of each of CompareReport.Measures
}

// CurvePoint is the accuracy after so many queries, over the seeds. Lo and Hi are
// NaN where there is no interval, and Seconds where they are not known.
type CurvePoint struct{ Queries, Accuracy, Lo, Hi, Seconds float64 }

// EqualCost is how the arms do at the cost of the cheapest.
type EqualCost struct {
	Name           string // queries, operations or seconds
	Limit          float64
	Accuracy, Loss []float64 // by arm, NaN where it has nothing of the kind
}

// Write writes the page.
func (r CompareReport) Write(w io.Writer) error {
	p := Page{Title: r.Title, Lead: r.Lead, Facts: r.Facts, Sections: []Section{
		{Title: "Results", Note: "Mean " + r.result() + " over the seeds with its 95% interval. " +
			"Differences are paired by seed. Intervals cover the seeds and not other images: " +
			"what another split of the same kind would give varies more. " +
			"p is that of a paired t-test, corrected for the arms of the table (Holm).",
			Blocks: []Block{r.forest(), r.Table(), r.losses()}},
		r.along(),
		{Title: "Arms", Note: "What each changes in the experiment.", Blocks: []Block{r.arms()}},
	}}
	if len(r.Equal) > 0 {
		p.Sections = slices.Insert(p.Sections, 2, r.equal())
	}
	p.Sections = append(p.Sections, origin(r.Config, r.Env)...)
	return p.Write(w)
}

// along is the accuracy by what was spent, in operations where they are known.
func (r CompareReport) along() Section {
	s := Section{Title: "Along the way", Note: "Bands are 95% intervals over the seeds. Every query of training counts: " +
		"clean passes, perturbed ones and the allocator's.",
		Blocks: []Block{r.Curves()}}
	if slices.ContainsFunc(r.Arms, func(a Arm) bool { return a.FLOPs > 0 }) {
		s.Note += " Backpropagation asks clean passes alone, so it is to be read by operations."
		s.Blocks = append(s.Blocks, r.operations())
	}
	if slices.ContainsFunc(r.Arms, func(a Arm) bool { return slices.ContainsFunc(a.Curve, timed) }) {
		s.Note += " Seconds are those of training, evaluations left out, the median over the seeds."
		s.Blocks = append(s.Blocks, r.seconds())
	}
	return s
}

func timed(p CurvePoint) bool { return finite(p.Seconds) }

// seconds is the chart of accuracy against the time of training.
func (r CompareReport) seconds() Chart {
	c := r.Curves()
	c.Title, c.XTitle = title(r.followed())+" against seconds", "seconds of training"
	c.How = "The same runs by the clock of this machine: what one waits for. It is another picture on another machine."
	for i, a := range r.Arms {
		for k, p := range a.Curve {
			c.Series[i].Xs[k] = p.Seconds
		}
		if !slices.ContainsFunc(a.Curve, timed) {
			c.Series[i] = Series{Name: a.Name}
		}
	}
	return c
}

// losses is the table of losses, which tells apart what accuracies of few images do
// not, the arm of the lowest stressed.
func (r CompareReport) losses() Table {
	t := Table{Head: []string{"arm", "loss", "95% interval", r.against(), "95% interval", "p", "p of the accuracy"},
		Text: 1}
	best := math.Inf(1)
	for i, a := range r.Arms {
		t.Add(a.Name, Fixed(a.Loss, 4), span(a.LossLo, a.LossHi), Fixed(a.LossDiff, 4), span(a.LossDiffLo, a.LossDiffHi),
			Fixed(a.LossP, 4), Fixed(a.P, 4))
		if a.Loss < best {
			best, t.Strong = a.Loss, i+1
		}
	}
	return t
}

// span writes an interval.
func span(lo, hi float64) string {
	if !finite(lo) || !finite(hi) {
		return Missing
	}
	return Fixed(lo, 4) + " to " + Fixed(hi, 4)
}

// equal is the table of the arms at equal cost.
func (r CompareReport) equal() Section {
	t := Table{Head: []string{"arm"}, Text: 1}
	for _, e := range r.Equal {
		limit := Short(e.Limit) + " queries"
		switch e.Name {
		case "operations":
			limit = Operations(e.Limit) + " operations"
		case "seconds":
			limit = Duration(e.Limit)
		}
		t.Head = append(t.Head, "at "+limit, "loss")
	}
	for i, a := range r.Arms {
		row := []string{a.Name}
		for _, e := range r.Equal {
			accuracy := Missing
			if finite(e.Accuracy[i]) {
				accuracy = Percent(e.Accuracy[i])
			}
			row = append(row, accuracy, Fixed(e.Loss[i], 4))
		}
		t.Add(row...)
	}
	return Section{Title: "At equal cost", Note: "Mean " + r.followed() +
		" at the last evaluation that the cost of the cheapest arm pays for, " +
		"in each of three currencies. Seconds mean something where every run had the machine for itself.",
		Blocks: []Block{t}}
}

// result is what the arms are compared by.
func (r CompareReport) result() string {
	if r.Untested {
		return "validation accuracy"
	}
	return "test accuracy"
}

// followed is what the curves are of.
func (r CompareReport) followed() string {
	if r.Validation {
		return "validation accuracy"
	}
	return "test accuracy"
}

func (r CompareReport) forest() Forest {
	f := Forest{Title: title(r.result()), XTitle: r.result(), Percent: true, Level: math.NaN(),
		How: "A dot is the mean over the seeds, its line the 95% interval. Lines that overlap may still differ: the " +
			"differences below are paired by seed."}
	for _, a := range r.Arms {
		f.Rows = append(f.Rows, Estimate{Name: a.Name, Value: a.Accuracy, Lo: a.Lo, Hi: a.Hi, Also: math.NaN()})
	}
	return f
}

// Table is the comparison as a table, the most accurate arm stressed.
func (r CompareReport) Table() Table {
	t := Table{Head: []string{"arm", "accuracy", "95% interval", r.against(), "95% interval", "seeds", "queries",
		"operations", "time", "peak MiB"}, Text: 1}
	both := r.Validation && !r.Untested
	if both {
		t.Head = slices.Insert(t.Head, 3, "validation")
	}
	for _, m := range r.Measures {
		t.Head = append(t.Head, m.Title)
	}
	t.Caption = explain(r.Measures)
	best := math.Inf(-1)
	for i, a := range r.Arms {
		interval, against := Missing, Missing
		if finite(a.Lo) && finite(a.Hi) {
			interval = Percent(a.Lo) + " to " + Percent(a.Hi)
		}
		if finite(a.DifferenceLo) && finite(a.DifferenceHi) && i > 0 {
			against = signed(a.DifferenceLo) + " to " + signed(a.DifferenceHi)
		}
		difference := Missing
		if i > 0 && finite(a.Difference) {
			difference = signed(a.Difference)
		}
		row := []string{a.Name, Percent(a.Accuracy), interval, difference, against, Count(int64(a.Seeds)), Short(a.Queries),
			Operations(a.FLOPs), Duration(a.Seconds), Fixed(a.PeakMiB, 0)}
		if both {
			row = slices.Insert(row, 3, Percent(a.Validation))
		}
		for k, m := range r.Measures {
			row = append(row, m.write(a.Measures[k]))
		}
		t.Add(row...)
		if a.Accuracy > best {
			best, t.Strong = a.Accuracy, i+1
		}
	}
	return t
}

// against names the column of the differences, in points of accuracy.
func (r CompareReport) against() string {
	if len(r.Arms) == 0 {
		return "difference"
	}
	return "less " + r.Arms[0].Name
}

// signed writes a difference of shares in points of a percent.
func signed(v float64) string { return fmt.Sprintf("%+.1f", 100*v) }

// arms lists what each arm changes.
func (r CompareReport) arms() Table {
	t := Table{Head: []string{"arm", "changes"}, Text: 2}
	for _, a := range r.Arms {
		t.Add(a.Name, strings.Join(a.Set, " "))
	}
	return t
}

// Curves is the chart of accuracy against queries.
func (r CompareReport) Curves() Chart {
	c := Chart{Title: title(r.followed()) + " against queries", XTitle: "queries", YTitle: r.followed(), Percent: true,
		How: "What each arm has reached when it has asked so much: further up at the same place is better. The price where " +
			"every query is a call."}
	for _, a := range r.Arms {
		s := Series{Name: a.Name}
		for _, p := range a.Curve {
			s.Xs, s.Ys = append(s.Xs, p.Queries), append(s.Ys, p.Accuracy)
			s.Lo, s.Hi = append(s.Lo, p.Lo), append(s.Hi, p.Hi)
		}
		c.Series = append(c.Series, s)
	}
	return c
}

// operations is the chart of accuracy against floating-point operations, which
// a run spends evenly.
func (r CompareReport) operations() Chart {
	c := r.Curves()
	c.Title, c.XTitle = title(r.followed())+" against operations", "floating-point operations"
	c.How = "The same runs by the work of the processor: queries of the last layers are cheap, clean passes are not."
	for i, a := range r.Arms {
		for k := range c.Series[i].Xs {
			c.Series[i].Xs[k] *= a.FLOPs / a.Queries
		}
	}
	return c
}

// Image is the chart of accuracy against queries in pixels.
func (r CompareReport) Image() (image.Image, error) { return r.Curves().Image(1600, 900) }
