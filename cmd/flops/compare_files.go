package main

import (
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"math"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/report"
	"github.com/flops-vit/flops/internal/ui"
)

// compareJSON is compare.json. A number that there is none of is null.
type compareJSON struct {
	Experiment string    `json:"experiment"`
	Equal      string    `json:"equal"`
	Seeds      int       `json:"seeds"`
	Arms       []armJSON `json:"arms"`
}

type armJSON struct {
	compare.Arm
	Accuracy       float64          `json:"accuracy"`
	CI95           []float64        `json:"ci95"`
	Validation     *float64         `json:"validation_accuracy,omitempty"`
	ValidationCI95 []float64        `json:"validation_ci95,omitempty"`
	Difference     *float64         `json:"difference"` // to the first arm, paired by seed
	DifferenceCI95 []float64        `json:"difference_ci95"`
	Queries        float64          `json:"queries"`
	FLOPs          float64          `json:"flops"`
	Seconds        float64          `json:"seconds"`
	PeakMiB        *float64         `json:"peak_mib"`
	Metrics        measuredJSON     `json:"metrics,omitempty"`
	Runs           []compare.Result `json:"runs"`
}

func interval(m compare.Mean) []float64 {
	if math.IsNaN(m.Half) {
		return nil
	}
	return []float64{m.Value - m.Half, m.Value + m.Half}
}

func orNull(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

// write prints the comparison and writes its files.
func (f *compareFlags) write(w io.Writer, p *compare.Plan, arms []compare.ArmResult) error {
	j := compareJSON{Experiment: p.Base.Name, Equal: p.Describe(), Seeds: p.Seeds}
	for _, a := range arms {
		j.Arms = append(j.Arms, armJSON{Arm: a.Arm, Accuracy: a.Accuracy.Value, CI95: interval(a.Accuracy),
			Validation: orNull(a.Validation.Value), ValidationCI95: interval(a.Validation), Difference: orNull(a.Difference.Value),
			DifferenceCI95: interval(a.Difference), Queries: a.Queries, FLOPs: a.FLOPs, Seconds: a.Seconds, PeakMiB: orNull(a.PeakMiB), Metrics: measuredOf(a), Runs: a.Runs})
	}
	page, err := comparePage(p, arms)
	if err != nil {
		return err
	}
	picture, err := page.Image()
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		fill func(io.Writer) error
	}{
		{"compare.json", func(w io.Writer) error { return json.NewEncoder(w).Encode(j) }},
		{"compare.csv", func(w io.Writer) error { return compareCSV(w, arms) }},
		{"curves.png", func(w io.Writer) error { return png.Encode(w, picture) }},
		{"report.html", page.Write},
	} {
		if err := createFile(filepath.Join(p.Dir, file.name), file.fill); err != nil {
			return err
		}
	}
	if f.asJSON {
		return json.NewEncoder(w).Encode(j)
	}
	fmt.Fprintln(w)
	if err := compareTable(arms).Print(w); err != nil {
		return err
	}
	note := ""
	if compare.SplitsOf(arms).Both() {
		note = "accuracy is that of the test split\n"
	}
	_, err = fmt.Fprintf(w, "\n%s± is a 95%% interval over the seeds; vs %s is paired by seed\nreport %s\n", note, arms[0].Name, filepath.Join(p.Dir, "report.html"))
	return err
}

// createFile writes a file whole or leaves what was there, and says why not.
func createFile(path string, fill func(io.Writer) error) error {
	return fsys.WriteOutput(fsys.OS, path, fill)
}

func plusMinus(format string, m compare.Mean) string {
	switch {
	case math.IsNaN(m.Value):
		return "-"
	case math.IsNaN(m.Half):
		return fmt.Sprintf(format, m.Value)
	}
	return fmt.Sprintf(format+" ±%.3f", m.Value, m.Half)
}

func compareTable(arms []compare.ArmResult) *ui.Table {
	s := compare.SplitsOf(arms)
	t := &ui.Table{Head: []string{"arm", "accuracy", "vs " + arms[0].Name, "queries", "FLOPs", "s", "MiB"}}
	if s.Untested {
		t.Head[1] = "validation"
	}
	if s.Both() {
		t.Head = slices.Insert(t.Head, 2, "validation")
	}
	measured := compare.MeasuresOf(arms)
	for _, o := range measured {
		t.Head = append(t.Head, o.Title)
	}
	for _, a := range arms {
		mib, flops := "-", "-"
		if !math.IsNaN(a.PeakMiB) {
			mib = fmt.Sprintf("%.0f", a.PeakMiB)
		}
		if a.FLOPs > 0 { // those of a model that is only called are not known
			flops = ui.Count(int64(a.FLOPs))
		}
		row := []any{a.Name, plusMinus("%.3f", a.Accuracy), plusMinus("%+.3f", a.Difference), ui.Count(int64(a.Queries)), flops,
			fmt.Sprintf("%.1f", a.Seconds), mib}
		if s.Both() {
			row = slices.Insert(row, 2, any(plusMinus("%.3f", a.Validation)))
		}
		for _, o := range measured {
			row = append(row, plusMinus("%.4f", a.Measured(o.Tag)))
		}
		t.Add(row...)
	}
	return t
}

// orEmpty is a cell of a number that may not be there.
func orEmpty(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%.6f", *v)
}

func compareCSV(w io.Writer, arms []compare.ArmResult) error {
	head := []string{"arm", "seed", "accuracy", "loss", "steps", "queries", "evaluation_queries", "flops", "seconds", "peak_mib"}
	s := compare.SplitsOf(arms)
	if s.Validation {
		head = append(head, "split", "validation_accuracy", "validation_loss")
	}
	measured := compare.MeasuresOf(arms)
	for _, o := range measured {
		head = append(head, o.Tag)
		if s.Validation {
			head = append(head, "validation_"+o.Tag)
		}
	}
	var rows [][]string
	for _, a := range arms {
		for _, r := range a.Runs {
			row := []string{a.Name, fmt.Sprint(r.Seed), fmt.Sprintf("%.6f", r.Accuracy), fmt.Sprintf("%.6f", r.Loss), fmt.Sprint(r.Steps), fmt.Sprint(r.Queries),
				fmt.Sprint(r.Evaluation), fmt.Sprint(r.FLOPs), fmt.Sprintf("%.3f", r.Seconds), fmt.Sprintf("%.1f", r.PeakMiB)}
			if s.Validation {
				row = append(row, r.Split, orEmpty(r.Validation), orEmpty(r.ValidationLoss))
			}
			for _, o := range measured {
				row = append(row, orEmpty(orNull(compare.NumberOf(r.Metrics, o.Tag))))
				if s.Validation {
					row = append(row, orEmpty(orNull(compare.NumberOf(r.ValidationMetrics, o.Tag))))
				}
			}
			rows = append(rows, row)
		}
	}
	return report.CSV(w, head, rows)
}

func comparePage(p *compare.Plan, arms []compare.ArmResult) (*report.CompareReport, error) {
	raw, err := config.Marshal(p.Base)
	if err != nil {
		return nil, err
	}
	s := compare.SplitsOf(arms)
	r := &report.CompareReport{Validation: s.Validation, Untested: s.Untested, Title: "Comparison: " + p.Base.Name, Lead: p.Describe() + ".", Config: string(raw),
		Facts: report.Facts{{Name: "arms", Value: fmt.Sprint(len(arms))}, {Name: "seeds", Value: fmt.Sprint(p.Seeds)}},
		Env: report.Facts{{Name: "version", Value: versionString()}, {Name: "system", Value: runtime.GOOS + "/" + runtime.GOARCH},
			{Name: "kernel", Value: kernel.Describe()}, {Name: "cores", Value: fmt.Sprint(runtime.NumCPU())}}}
	measured := compare.MeasuresOf(arms)
	for _, o := range measured {
		r.Measures = append(r.Measures, measureOf(o))
	}
	for _, a := range arms {
		one := report.Arm{Validation: a.Validation.Value, Name: a.Name, Accuracy: a.Accuracy.Value, Lo: a.Accuracy.Value - a.Accuracy.Half, Hi: a.Accuracy.Value + a.Accuracy.Half,
			Difference: a.Difference.Value, DifferenceLo: a.Difference.Value - a.Difference.Half, DifferenceHi: a.Difference.Value + a.Difference.Half,
			Seeds: len(a.Runs), Queries: a.Queries, FLOPs: a.FLOPs, Seconds: a.Seconds, PeakMiB: a.PeakMiB, Set: a.Set}
		for _, c := range a.Curve {
			one.Curve = append(one.Curve, report.CurvePoint{Queries: c.Queries, Accuracy: c.Accuracy.Value, Lo: c.Accuracy.Value - c.Accuracy.Half, Hi: c.Accuracy.Value + c.Accuracy.Half})
		}
		for _, o := range measured {
			one.Measures = append(one.Measures, a.Measured(o.Tag).Value)
		}
		r.Arms = append(r.Arms, one)
	}
	return r, nil
}
