package report

import (
	"maps"
	"slices"
	"strings"
)

// Traced are numbers of several places of a network over the steps of a run.
type Traced struct {
	Title  string
	How    string // as of a Chart
	Points []TracedPoint
}

// TracedPoint are the numbers of one step, by their places.
type TracedPoint struct {
	Step   int
	Values map[string]float64
}

// feedback is the page's section about how far a gradient is predicted, and agrees
// with backpropagation's.
func (r RunReport) feedback() []Section {
	var blocks []Block
	for _, t := range r.Feedback {
		if len(t.Points) > 1 {
			blocks = append(blocks, t.chart())
		}
	}
	if len(blocks) == 0 {
		return nil
	}
	return []Section{{Title: "How good the gradient is", Blocks: blocks,
		Note: "What a surrogate leaves of what queries say, running Σr²/Σc² (0: it knew all of it, 1: nothing), and the " +
			"cosine of the step's gradient to backpropagation's of the same batch."}}
}

// chart draws a line for every place, or one where all are the same.
func (t Traced) chart() Chart {
	lines := map[string]*Series{}
	same := true
	for _, p := range t.Points {
		first, seen := 0.0, false
		for name, v := range p.Values {
			if lines[name] == nil {
				lines[name] = &Series{Name: name}
			}
			s := lines[name]
			s.Xs, s.Ys = append(s.Xs, float64(p.Step)), append(s.Ys, v)
			same = same && (!seen || v == first)
			first, seen = v, true
		}
	}
	names := slices.SortedFunc(maps.Keys(lines), func(a, b string) int {
		if len(a) != len(b) && strings.HasPrefix(a, "block.") && strings.HasPrefix(b, "block.") {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	c := Chart{Title: t.Title, How: t.How, XTitle: "step"}
	for i, name := range names {
		s := *lines[name]
		s.Color = i + 1
		if same && len(names) > 1 {
			s.Name = "all places together"
		}
		if c.Series = append(c.Series, s); same {
			break
		}
	}
	return c
}
