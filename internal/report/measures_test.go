package report

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

// TestMeasuresOfRun: a chosen metric has a chart, and rows with its last and its
// best value; without one there is no such section.
func TestMeasuresOfRun(t *testing.T) {
	r := RunReport{Measures: []Measure{
		{Title: "ECE", About: "calibration", Better: "lower", Percent: true, Splits: []Series{
			{Name: "validation", Xs: []float64{1, 2, 3}, Ys: []float64{.25, .125, .5}},
			{Name: "test", Xs: []float64{3}, Ys: []float64{.375}}}},
		{Title: "gap", About: "a distance", Better: "higher", Splits: []Series{
			{Name: "test", Xs: []float64{1, 2}, Ys: []float64{2, math.NaN()}}}},
	}}
	s := r.measures()
	if len(s) != 1 {
		t.Fatal(s)
	}
	table := s[0].Blocks[1].(Table)
	for i, want := range []string{"ECE validation 50.0% 12.5%", "ECE test 37.5% 37.5%", "gap test – 2.0000"} {
		if got := strings.Join(table.Rows[i], " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if want := "ECE: calibration (lower is better); gap: a distance (higher is better)"; table.Caption != want {
		t.Error(table.Caption)
	}
	var page bytes.Buffer
	if err := r.Write(&page); err != nil || !strings.Contains(page.String(), "<h2>Metrics</h2>") {
		t.Error(err)
	}
	page.Reset()
	if err := (RunReport{}).Write(&page); err != nil || strings.Contains(page.String(), "Metrics") {
		t.Error(err)
	}
}

// TestMeasuresOfComparison: a chosen metric is a column, empty for an arm that was
// not measured by it.
func TestMeasuresOfComparison(t *testing.T) {
	r := CompareReport{Measures: []Measure{{Title: "ECE", About: "calibration", Better: "lower", Percent: true}},
		Arms: []Arm{{Name: "a", Measures: []float64{.25}}, {Name: "b", Measures: []float64{math.NaN()}}}}
	table := r.Table()
	last := len(table.Head) - 1
	if table.Head[last] != "ECE" || table.Rows[0][last] != "25.0%" || table.Rows[1][last] != Missing ||
		table.Caption != "ECE: calibration (lower is better)" {
		t.Errorf("%+v", table)
	}
}
