package report

import (
	"io"
	"math"
)

// AllocationReport is the page of `flops allocate-report`.
type AllocationReport struct {
	Title      string
	Lead       string
	Facts      Facts
	Allocators []AllocatorRow // the control first
	Sites      []SiteRow      // the estimate at each trained part; may be empty
	Images     []AllocatedImage
	Learned    []Learned // by allocator, how its parameters moved; may be empty
	Config     string    // the resolved experiment
	Env        Facts
}

// AllocatorRow is what one allocator did to the variance of the gradient. A
// number that was not measured is NaN.
type AllocatorRow struct {
	Name                string
	Predicted, Measured float64 // variance against equal shares
	Lo, Hi              float64 // 95% interval of Measured
	Cosine              float64 // to the backpropagation gradient
	Bias                float64 // squared distance of the mean to that gradient, in units of its squared norm
	Seconds             float64 // of the allocator, per allocation
	Queries             int64   // asked to measure it
}

// SiteRow is what the estimate is like at one trained part. A number that was not
// measured is NaN.
type SiteRow struct {
	Name           string
	Noise          float64 // variance of a draw over the squared norm of the gradient
	Share          float64 // of the variance of all
	Residual       float64 // what the surrogate left of what queries say
	Unused         bool    // its predictions stay out of the gradient
	Cosine         float64 // of a draw to the backpropagation gradient
	Mean, Unbiased float64 // of the mean of all draws, and about what that is without bias
	Draws          int
}

// sites is the table of the sites.
func (r AllocationReport) sites() Table {
	t := Table{Head: []string{"site", "noise to signal", "share of variance", "residual", "cosine to backprop",
		"cosine of the mean", "the same without bias"}, Text: 1}
	for _, s := range r.Sites {
		residual := Fixed(s.Residual, 3)
		if s.Unused {
			residual += " (not used)"
		}
		t.Add(s.Name, Fixed(s.Noise, 2), Fixed(s.Share, 3), residual, Fixed(s.Cosine, 3), Fixed(s.Mean, 3),
			Fixed(s.Unbiased, 3))
	}
	t.Caption = "Residual is the running Σr²/Σc² of the surrogate: 0 where it knew what queries say, 1 where it knew " +
		"nothing. The mean of N unbiased estimates has a cosine of about 1/√(1 + noise/N), which goes to 1."
	return t
}

// AllocatedImage is one image of the batch and its queries per allocator.
type AllocatedImage struct {
	Tile
	Counts map[string]int // by allocator
}

// tabs is how many orders of images the style can switch between.
const tabs = 8

// Write writes the page.
func (r AllocationReport) Write(w io.Writer) error {
	p := Page{Title: r.Title, Lead: r.Lead, Facts: r.Facts, Sections: []Section{
		{Title: "Variance against equal shares",
			Note: "The variance of the gradient at the same number of queries; below 1 is a gain. Measured on repeated " +
				"draws, with 95% intervals; predicted from an independent probe of every image.",
			Blocks: []Block{r.forest(), r.table()}},
		{Title: "Who got the queries",
			Note:   "Most queries first. Below each image: its queries, its label and its loss before the update.",
			Blocks: []Block{r.gallery()}},
		{Title: "Queries by loss",
			Note:   "One dot per image of the batch.",
			Blocks: []Block{r.scatter()}},
	}}
	if len(r.Sites) > 0 {
		p.Sections = append(p.Sections, Section{Title: "The estimate, site by site",
			Note:   "Drawn again and again on one batch, with the queries that a step of the run has.",
			Blocks: []Block{r.sites()}})
	}
	for _, l := range r.Learned {
		p.Sections = append(p.Sections, l.sections()...)
	}
	p.Sections = append(p.Sections, origin(r.Config, r.Env)...)
	return p.Write(w)
}

func (r AllocationReport) forest() Forest {
	f := Forest{Title: "Measured variance ratio", XTitle: "variance against equal shares", Level: 1, Also: "predicted",
		How: "Left of the dashed line the same queries tell more than in equal shares: at 0.5 they are worth twice as " +
			"many. A line that crosses it shows no difference."}
	for _, a := range r.Allocators {
		f.Rows = append(f.Rows, Estimate{Name: a.Name, Value: a.Measured, Lo: a.Lo, Hi: a.Hi, Also: a.Predicted})
	}
	return f
}

func (r AllocationReport) table() Table {
	t := Table{Head: []string{"allocator", "predicted", "measured", "95% interval", "cosine to backprop", "squared bias",
		"time", "queries"}, Text: 1}
	best := math.Inf(1)
	for i, a := range r.Allocators {
		t.Add(a.Name, Fixed(a.Predicted, 3), Fixed(a.Measured, 3), Interval(a.Lo, a.Hi, 3), Fixed(a.Cosine, 3),
			Fixed(a.Bias, 3), Duration(a.Seconds), Count(a.Queries))
		if a.Measured < best {
			best, t.Strong = a.Measured, i+1
		}
	}
	t.Caption = "Squared bias is the distance of the estimate's mean to the backpropagation gradient, in units of that " +
		"gradient; below 0 it is noise. Time is the allocator's own, per allocation. Queries are those that the " +
		"measurement asked."
	return t
}

// names are the allocators that the page shows images of, the control last: it
// has nothing to show.
func (r AllocationReport) names() []string {
	var n []string
	for _, a := range r.Allocators {
		n = append(n, a.Name)
	}
	if len(n) > 1 {
		n = append(n[1:], n[0])
	}
	return n[:min(len(n), tabs)]
}

func (r AllocationReport) gallery() Gallery {
	g := Gallery{ID: "batch"}
	for _, im := range r.Images {
		g.Images = append(g.Images, im.Tile)
	}
	for _, name := range r.names() {
		t := Tab{Name: name, Queries: make([]int, len(r.Images))}
		for i, im := range r.Images {
			t.Queries[i] = im.Counts[name]
		}
		g.Tabs = append(g.Tabs, t)
	}
	return g
}

func (r AllocationReport) scatter() Charts {
	var out Charts
	top := 0
	for _, im := range r.Images {
		for _, n := range im.Counts {
			top = max(top, n)
		}
	}
	for k, name := range r.names() {
		s := Series{Name: name, Points: true, Color: k + 1}
		for _, im := range r.Images {
			s.Xs, s.Ys = append(s.Xs, im.Loss), append(s.Ys, float64(im.Counts[name]))
		}
		how := "How the queries follow the loss: an image far right is hard, one far up got many."
		if name == "uniform" {
			how = "The control: every image gets the same, whatever its loss."
		}
		out = append(out, Chart{Title: name, How: how, XTitle: "loss", YTitle: "queries", Series: []Series{s}, Zero: true,
			YMax: float64(top), Small: true})
	}
	return out
}

// Interval writes two numbers as an interval, or Missing.
func Interval(lo, hi float64, decimals int) string {
	if !finite(lo) || !finite(hi) {
		return Missing
	}
	return Fixed(lo, decimals) + " to " + Fixed(hi, decimals)
}

// origin are the sections that say where a page's numbers come from.
func origin(config string, env Facts) (out []Section) {
	if len(env) > 0 {
		out = append(out, Section{Title: "Environment", Blocks: []Block{env}})
	}
	if config != "" {
		out = append(out, Section{Title: "Configuration",
			Note: "The resolved experiment: with this file the run can be repeated.", Blocks: []Block{Code(config)}})
	}
	return out
}
