package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/settings"
)

// wholeRun is a run of which everything is known that a page can tell.
func wholeRun() RunReport {
	r := sampleRun()
	r.Validations = r.Evals
	r.Measures = []Measure{{Title: "ECE", About: "calibration", Better: "lower", Percent: true,
		Splits: []Series{{Name: "test", Xs: []float64{1, 2}, Ys: []float64{.2, .1}}}}}
	r.Learned = []Learned{{Of: "allocator", Params: []settings.Param{{Name: "w0", Doc: "mean"}, {Name: "w1"}},
		Points: []ParamPoint{{1, []float64{1, 2}}, {2, []float64{2, 1}}}}}
	r.Feedback = []Traced{{Title: "Left", How: "Falling is better.", Points: []TracedPoint{
		{1, map[string]float64{"block.0.query": 1, "block.0.key": .5}},
		{2, map[string]float64{"block.0.query": .8, "block.0.key": .4}}}}}
	r.Sharing = []SharePoint{{Step: 1, Workers: 2, Queries: 10, Own: 5},
		{Step: 2, Workers: 1, Lag: 1, Queries: 15, Own: 20}}
	return r
}

// wholeCompare is a comparison of which everything is known.
func wholeCompare() CompareReport {
	c := sampleCompare()
	c.Facts, c.Validation, c.Untested = Facts{{"arms", "8"}}, true, true
	c.Measures = []Measure{{Title: "ECE", About: "calibration", Better: "lower"}}
	for i := range c.Arms {
		c.Arms[i].Measures = []float64{.1}
	}
	return c
}

// wholeAllocation is an allocation of which everything is known.
func wholeAllocation() AllocationReport {
	a := sampleAllocation()
	a.Sites = []SiteRow{{Name: "block.0.query"}}
	return a
}

// TestFiguresAreExplained: every figure says where it stands what it shows, whatever
// there is to show. The reports that are looked at know everything that a page can
// tell, so that a section added later is looked at too.
func TestFiguresAreExplained(t *testing.T) {
	for name, report := range map[string]interface{ Write(io.Writer) error }{
		"allocation": sampleAllocation(), "whole allocation": wholeAllocation(),
		"nothing allocated": AllocationReport{},
		"run":               sampleRun(), "whole run": wholeRun(), "no run": RunReport{},
		"compare": sampleCompare(), "whole compare": wholeCompare(), "nothing compared": CompareReport{},
	} {
		if v := reflect.ValueOf(report); strings.HasPrefix(name, "whole") {
			for i := range v.NumField() {
				if v.Field(i).IsZero() {
					t.Errorf("%s: the test knows no %s", name, v.Type().Field(i).Name)
				}
			}
		}
		var page strings.Builder
		if err := report.Write(&page); err != nil {
			t.Fatal(err)
		}
		for i, figure := range strings.Split(page.String(), "<figure>")[1:] {
			figure, _, _ = strings.Cut(figure, "</figure>")
			if _, how, ok := strings.Cut(figure, `<span class="how">`); !ok || strings.HasPrefix(how, "<") {
				t.Errorf("%s: figure %d is not explained: %.80s", name, i+1, figure)
			}
		}
	}
}

// TestFiguresAreMadeWithWords: wherever this package makes a figure, it says how to
// read it, also where no sample leads.
func TestFiguresAreMadeWithWords(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files, seen := token.NewFileSet(), 0
	look := func(n ast.Node) bool {
		made, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		kind, ok := made.Type.(*ast.Ident)
		if !ok || kind.Name != "Chart" && kind.Name != "Forest" && kind.Name != "Bars" {
			return true
		}
		seen++
		for _, e := range made.Elts {
			if pair, ok := e.(*ast.KeyValueExpr); ok && pair.Key.(*ast.Ident).Name == "How" {
				return true
			}
		}
		t.Errorf("%s: a %s without How", files.Position(made.Pos()), kind.Name)
		return true
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, look)
	}
	if seen < 10 {
		t.Errorf("%d figures found", seen)
	}
}
