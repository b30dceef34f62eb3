package report

import (
	"io"
	"slices"
	"strings"
)

// RunReport is the page of `flops report`: one training run.
type RunReport struct {
	Title       string
	Lead        string
	Facts       Facts
	Steps       []StepPoint
	Evals       []EvalPoint // of the test split
	Validations []EvalPoint // of the validation split; empty where there is none
	Measures    []Measure   // the chosen metrics; may be empty
	Ledger      []Spent
	Allocation  []Spread     // queries per image over the steps; may be empty
	Learned     []Learned    // by section of the config; may be empty
	Feedback    []Traced     // what a surrogate leaves, and cosines to backpropagation; may be empty
	Sharing     []SharePoint // which machines took part; may be empty
	Hardest     []Tile       // images with the highest loss, hardest first; may be empty
	Config      string
	Env         Facts
}

// StepPoint is one logged step. Ratio is 0 where there is none.
type StepPoint struct {
	Step           int
	Loss, Accuracy float64 // of the batch, before the update
	Queries        int64   // of the run so far
	GradNorm, LR   float64
	Ratio          float64 // Σ V̂_i/n_i against equal shares
}

// EvalPoint is one evaluation on a split.
type EvalPoint struct {
	Step           int
	Queries        int64
	Accuracy, Loss float64
	Seconds        float64 // of training so far; 0 where they are not known
}

// Spent is one purpose of the ledger.
type Spent struct {
	Purpose        string
	Queries, FLOPs int64
	Seconds        float64
}

// Spread are the quantiles of the queries per image in one step.
type Spread struct {
	Step                       int
	Least, Low, Mid, High, Top float64
}

// SpreadOf sums up one step's allocation: least, quartiles and most.
func SpreadOf(step int, counts []int) Spread {
	s := Spread{Step: step}
	if len(counts) == 0 {
		return s
	}
	c := slices.Clone(counts)
	slices.Sort(c)
	at := func(q float64) float64 {
		x := q * float64(len(c)-1)
		i := int(x)
		if i+1 == len(c) {
			return float64(c[i])
		}
		return float64(c[i]) + (x-float64(i))*float64(c[i+1]-c[i])
	}
	s.Least, s.Low, s.Mid, s.High, s.Top = at(0), at(0.25), at(0.5), at(0.75), at(1)
	return s
}

// Write writes the page.
func (r RunReport) Write(w io.Writer) error {
	p := Page{Title: r.Title, Lead: r.Lead, Facts: r.Facts}
	p.Sections = append(p.Sections, Section{Title: "Learning", Note: "Batch values before each update with their moving " +
		"average, and " + r.followed() + " at every evaluation.", Blocks: r.curves()})
	p.Sections = append(p.Sections, r.measures()...)
	if len(r.Ledger) > 0 {
		p.Sections = append(p.Sections, Section{Title: "Where the queries went",
			Note:   "Every forward evaluation of one image's loss, by purpose, with the operations and the time it took.",
			Blocks: []Block{r.bars(), r.ledger()}})
	}
	if blocks := r.allocation(); len(blocks) > 0 {
		p.Sections = append(p.Sections, Section{Title: "Allocation over time",
			Note: "How the queries of a step were shared among its images.", Blocks: blocks})
	}
	p.Sections = append(p.Sections, r.feedback()...)
	p.Sections = append(p.Sections, r.machines()...)
	for _, l := range r.Learned {
		p.Sections = append(p.Sections, l.sections()...)
	}
	if len(r.Hardest) > 0 {
		p.Sections = append(p.Sections, Section{Title: "Hardest images", Note: "Highest loss first, with label and loss.",
			Blocks: []Block{Gallery{ID: "hard", Images: r.Hardest, Tabs: []Tab{{Name: "loss"}}}}})
	}
	p.Sections = append(p.Sections, origin(r.Config, r.Env)...)
	return p.Write(w)
}

// column collects one number of every step.
func (r RunReport) column(f func(StepPoint) float64) (x, y []float64) {
	for _, s := range r.Steps {
		x, y = append(x, float64(s.Step)), append(y, f(s))
	}
	return x, y
}

// title begins a word with a capital.
func title(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] }

// followed says in words what the evaluations measured.
func (r RunReport) followed() string {
	switch {
	case len(r.Validations) == 0:
		return "the test split"
	case len(r.Evals) > 1:
		return "the validation and the test split"
	}
	return "the validation split"
}

// split is the split along which the run was followed.
func (r RunReport) split() string {
	if len(r.Validations) > 0 {
		return "validation"
	}
	return "test"
}

// evals are the series of one number of every evaluation, validation before
// test where it is there.
func (r RunReport) evals(by func(EvalPoint) float64, f func(EvalPoint) float64) (out []Series) {
	add := func(name string, points []EvalPoint) {
		s := Series{Name: name}
		for _, e := range points {
			s.Xs, s.Ys = append(s.Xs, by(e)), append(s.Ys, f(e))
		}
		out = append(out, s)
	}
	if len(r.Validations) > 0 {
		add("validation", r.Validations)
	}
	if len(r.Evals) > 0 || len(out) == 0 {
		add("test", r.Evals)
	}
	return out
}

func (r RunReport) curves() []Block {
	step := func(e EvalPoint) float64 { return float64(e.Step) }
	loss, acc := Series{Name: "batch", Smooth: true}, Series{Name: "batch", Smooth: true}
	loss.Xs, loss.Ys = r.column(func(s StepPoint) float64 { return s.Loss })
	acc.Xs, acc.Ys = r.column(func(s StepPoint) float64 { return s.Accuracy })
	out := []Block{
		Chart{Title: "Loss", XTitle: "step",
			How: "Falling is learning. A batch that falls while " + r.split() + " rises is learnt by heart; one that does " +
				"not move wants a larger rate or more queries, one that jumps a smaller rate.",
			Series: append([]Series{loss}, r.evals(step, func(e EvalPoint) float64 { return e.Loss })...)},
		Chart{Title: "Accuracy", XTitle: "step", Percent: true,
			How:    "The share of images whose class has the largest output.",
			Series: append([]Series{acc}, r.evals(step, func(e EvalPoint) float64 { return e.Accuracy })...)},
	}
	small := Charts{}
	if len(r.Evals) > 1 || len(r.Validations) > 1 {
		s := r.evals(func(e EvalPoint) float64 { return float64(e.Queries) },
			func(e EvalPoint) float64 { return e.Accuracy })[0]
		s.Color = 2
		small = append(small,
			Chart{Title: title(s.Name) + " accuracy by queries", XTitle: "queries of the run", Percent: true,
				How:    "What a query bought, evaluations counted.",
				Series: []Series{s}, Small: true})
		clock := r.evals(func(e EvalPoint) float64 { return e.Seconds },
			func(e EvalPoint) float64 { return e.Accuracy })[0]
		if clock.Color = 4; !slices.Contains(clock.Xs, 0) {
			small = append(small,
				Chart{Title: title(s.Name) + " accuracy by seconds", XTitle: "seconds of training", Percent: true,
					How:    "What a second bought, evaluations left out.",
					Series: []Series{clock}, Small: true})
		}
	}
	for i, c := range []struct {
		title, how string
		f          func(StepPoint) float64
	}{
		{"Queries of the run", "Every forward evaluation so far. Steeper: more queries a step.",
			func(s StepPoint) float64 { return float64(s.Queries) }},
		{"Norm of the gradient", "Of the estimate, before it is clipped: mostly noise where queries are few.",
			func(s StepPoint) float64 { return s.GradNorm }},
		{"Learning rate", "As its schedule has it.", func(s StepPoint) float64 { return s.LR }},
	} {
		s := Series{Name: c.title, Color: []int{3, 4, 1}[i], Smooth: c.title == "Norm of the gradient"}
		s.Xs, s.Ys = r.column(c.f)
		if slices.ContainsFunc(s.Ys, func(v float64) bool { return v != 0 }) {
			small = append(small, Chart{Title: c.title, How: c.how, XTitle: "step", Series: []Series{s}, Zero: true,
				Small: true})
		}
	}
	return append(out, small)
}

func (r RunReport) bars() Bars {
	b := Bars{How: "Each bar is the whole of what stands at its right; a part is a purpose.",
		Rows: []Bar{{Name: "queries"}, {Name: "operations"}, {Name: "time"}}}
	var queries, flops int64
	var seconds float64
	for _, s := range r.Ledger {
		b.Parts = append(b.Parts, s.Purpose)
		queries, flops, seconds = queries+s.Queries, flops+s.FLOPs, seconds+s.Seconds
		for i, v := range []float64{float64(s.Queries), float64(s.FLOPs), s.Seconds} {
			b.Rows[i].Values = append(b.Rows[i].Values, v)
		}
		b.Rows[0].Labels = append(b.Rows[0].Labels, Count(s.Queries))
		b.Rows[1].Labels = append(b.Rows[1].Labels, Operations(float64(s.FLOPs)))
		b.Rows[2].Labels = append(b.Rows[2].Labels, Duration(s.Seconds))
	}
	b.Rows[0].Total, b.Rows[1].Total, b.Rows[2].Total = Short(float64(queries)), Operations(float64(flops)),
		Duration(seconds)
	if flops == 0 {
		b.Rows = slices.Delete(b.Rows, 1, 2)
	}
	return b
}

func (r RunReport) ledger() Table {
	t := Table{Head: []string{"purpose", "queries", "operations", "time"}, Text: 1}
	var sum Spent
	for _, s := range r.Ledger {
		t.Add(s.Purpose, Count(s.Queries), Operations(float64(s.FLOPs)), Duration(s.Seconds))
		sum.Queries, sum.FLOPs, sum.Seconds = sum.Queries+s.Queries, sum.FLOPs+s.FLOPs, sum.Seconds+s.Seconds
	}
	t.Add("total", Count(sum.Queries), Operations(float64(sum.FLOPs)), Duration(sum.Seconds))
	t.Strong = len(t.Rows)
	return t
}

func (r RunReport) allocation() (out []Block) {
	if len(r.Allocation) > 0 {
		all, half := Series{Name: "least to most", Color: 7}, Series{Name: "middle half", Color: 1}
		for _, s := range r.Allocation {
			x := float64(s.Step)
			all.Xs, all.Ys = append(all.Xs, x), append(all.Ys, s.Mid)
			all.Lo, all.Hi = append(all.Lo, s.Least), append(all.Hi, s.Top)
			half.Xs, half.Ys, half.Lo, half.Hi = append(half.Xs, x), append(half.Ys, s.Mid), append(half.Lo, s.Low),
				append(half.Hi, s.High)
		}
		out = append(out, Chart{Title: "Queries per image", XTitle: "step", Zero: true,
			How: "A flat, thin band is equal shares; the wider it is, the more a few images got.", Series: []Series{all, half}})
	}
	var s Series
	for _, p := range r.Steps {
		if p.Ratio > 0 {
			s.Xs, s.Ys = append(s.Xs, float64(p.Step)), append(s.Ys, p.Ratio)
		}
	}
	if len(s.Xs) > 0 {
		s.Name, s.Smooth, s.Color = "ratio", true, 3
		out = append(out, Chart{Title: "Variance against equal shares, by the step's own queries", XTitle: "step",
			How:    "Below 1 the shares of that step were better than equal ones: at 0.8 its queries were worth 1/0.8 as many.",
			Series: []Series{s}, Level: 1})
	}
	return out
}
