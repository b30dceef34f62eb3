// Command figures draws the figure of README.md from results that are checked in
// beside it, and prints the numbers that README.md says of it.
//
//	go run ./docs/figures                               signs10.csv to signs10-*.svg
//	go run ./docs/figures runs/headline/compare.json    what flops compare measured to signs10.csv first
package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/pages"
	"github.com/flops-vit/flops/internal/report"
)

const (
	dir    = "docs/figures"
	data   = "signs10.csv"
	width  = 480
	height = 330
)

// arms are those of configs/arms/headline.yaml, with what the figure calls them.
var arms = []struct{ name, title string }{
	{"default", "flops, as it ships"}, {"paper", "the paper's setting"}, {"bp", "backpropagation"},
}

func main() {
	if err := run(os.Stdout, dir, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, dir string, results []string) error {
	if len(results) > 0 {
		if err := collect(filepath.Join(dir, data), results); err != nil {
			return err
		}
	}
	points, err := read(filepath.Join(dir, data))
	if err != nil {
		return err
	}
	curves := curvesOf(points)
	for _, dark := range []bool{false, true} {
		name := map[bool]string{false: "signs10-light.svg", true: "signs10-dark.svg"}[dark]
		if err := os.WriteFile(filepath.Join(dir, name), []byte(draw(curves, dark)), 0o644); err != nil {
			return err
		}
	}
	return tell(w, curves)
}

// point is a line of the results: an evaluation on the test split along a run.
type point struct {
	arm     string
	seed    int64
	step    int
	queries int64
	seconds float64
	score   float64
}

// collect writes the curves of comparisons as lines.
func collect(path string, results []string) error {
	rows := [][]string{{"arm", "seed", "step", "queries", "seconds", "accuracy"}}
	for _, file := range results {
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var c pages.Comparison
		if err := json.Unmarshal(raw, &c); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, a := range c.Arms {
			for _, r := range a.Runs {
				for _, p := range r.Curve {
					rows = append(rows, []string{a.Name, fmt.Sprint(r.Seed), fmt.Sprint(p.Step), fmt.Sprint(p.Queries),
						fmt.Sprintf("%.2f", p.Seconds), fmt.Sprintf("%.4f", p.Accuracy)})
				}
			}
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	return f.Close()
}

// read reads the lines back.
func read(path string) (out []point, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := csv.NewReader(f)
	lines.Comment = '#'
	rows, err := lines.ReadAll()
	if err != nil {
		return nil, err
	}
	for _, r := range rows[1:] {
		var n [5]float64
		for i := range n {
			if n[i], err = strconv.ParseFloat(r[i+1], 64); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		out = append(out, point{r[0], int64(n[0]), int(n[1]), int64(n[2]), n[3], n[4]})
	}
	return out, nil
}

// curve is an arm over its seeds, by step.
type curve struct {
	title            string
	seeds            int
	queries, seconds []float64
	accuracy         []compare.Mean
}

// curvesOf takes the seeds of every arm together. Seconds are those of the run that was
// done first: a machine is disturbed now and then, and never hurried.
func curvesOf(points []point) (out []curve) {
	for _, a := range arms {
		at := map[int][]point{}
		for _, p := range points {
			if p.arm == a.name {
				at[p.step] = append(at[p.step], p)
			}
		}
		c := curve{title: a.title}
		for _, s := range slices.Sorted(maps.Keys(at)) {
			var score, seconds []float64
			for _, p := range at[s] {
				score, seconds = append(score, p.score), append(seconds, p.seconds)
			}
			c.seeds = len(score)
			c.queries = append(c.queries, float64(at[s][0].queries))
			c.seconds = append(c.seconds, slices.Min(seconds))
			c.accuracy = append(c.accuracy, compare.MeanOf(score))
		}
		out = append(out, c)
	}
	return out
}

// last is the accuracy at the end.
func (c curve) last() compare.Mean { return c.accuracy[len(c.accuracy)-1] }

// first is where a curve first reaches an accuracy, -1 where it never does.
func (c curve) first(accuracy float64) int {
	return slices.IndexFunc(c.accuracy, func(m compare.Mean) bool { return m.Value >= accuracy })
}

// draw is accuracy against queries and against seconds. Backpropagation asks no
// queries, so that on the left it is a line at what it comes to.
func draw(curves []curve, dark bool) string {
	bp := curves[2].last().Value
	queries := report.Chart{Title: "Test accuracy by queries; dashed: backpropagation, which asks none", XTitle: "queries",
		Percent: true, Zero: true, Level: bp}
	seconds := report.Chart{Title: "The same by seconds of training", XTitle: "seconds", Percent: true, Zero: true}
	for i, c := range curves {
		s := report.Series{Name: c.title, Color: i + 1}
		for _, m := range c.accuracy {
			s.Ys, s.Lo, s.Hi = append(s.Ys, m.Value), append(s.Lo, m.Value-m.Half), append(s.Hi, m.Value+m.Half)
		}
		if i < 2 {
			s.Xs = c.queries
			queries.Series = append(queries.Series, s)
		}
		s.Xs = c.seconds
		seconds.Series = append(seconds.Series, s)
	}
	label := fmt.Sprintf("Test accuracy on ten hand signs: "+
		"flops as it ships %.3f, the paper's setting %.3f, backpropagation %.3f",
		curves[0].last().Value, curves[1].last().Value, bp)
	return report.Standalone(dark, width, height, label, queries, seconds)
}

// tell prints the numbers.
func tell(w io.Writer, curves []curve) error {
	for _, c := range curves {
		n := len(c.queries) - 1
		if _, err := fmt.Fprintf(w, "%-20s %.3f ±%.3f over %d seeds after %.0f queries and %.1f s\n", c.title, c.last().Value,
			c.last().Half, c.seeds, c.queries[n], c.seconds[n]); err != nil {
			return err
		}
	}
	reach := curves[1].last().Value
	i := curves[0].first(reach)
	_, err := fmt.Fprintf(w, "flops reaches the paper's %.3f after %.0f queries, %.1f times fewer, and %.1f s\n", reach,
		curves[0].queries[i], curves[1].queries[len(curves[1].queries)-1]/curves[0].queries[i], curves[0].seconds[i])
	return err
}
