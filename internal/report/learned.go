package report

import (
	"cmp"
	"slices"
	"sort"

	"github.com/flops-vit/flops/internal/settings"
)

// Learned is how the parameters of one thing moved.
type Learned struct {
	Of     string // whose they are
	Params []settings.Param
	Points []ParamPoint
}

// ParamPoint is the value of the parameters after a step.
type ParamPoint struct {
	Step   int
	Values []float64 // parallel to Learned.Params
}

// sections is the page's section about the parameters; none where they are of one
// step alone.
func (l Learned) sections() []Section {
	if len(l.Points) < 2 {
		return nil
	}
	return []Section{{Title: "Parameters of the " + l.Of, Note: "What was learned beside the weights.",
		Blocks: []Block{l.Paths()}}}
}

// how explains the chart of a parameter, by what it was registered with.
func (l Learned) how(p settings.Param) string {
	return cmp.Or(title(p.Doc), "Learned by the "+l.Of+", as it was after each step.")
}

// Paths are the parameters over the steps, a small chart each.
func (l Learned) Paths() Charts {
	points := slices.Clone(l.Points)
	sort.SliceStable(points, func(a, b int) bool { return points[a].Step < points[b].Step })
	var out Charts
	for k, param := range l.Params {
		s := Series{Name: param.Name, Color: k + 1}
		for _, p := range points {
			if k < len(p.Values) {
				s.Xs, s.Ys = append(s.Xs, float64(p.Step)), append(s.Ys, p.Values[k])
			}
		}
		out = append(out, Chart{Title: param.Name, How: l.how(param), XTitle: "step", Series: []Series{s},
			Small: true})
	}
	return out
}
