package pages

import (
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"math"
	"path/filepath"
	"runtime"

	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/report"
)

// Comparison is compare.json. A number that there is none of is null.
type Comparison struct {
	Experiment string        `json:"experiment"`
	Equal      string        `json:"equal"`
	Seeds      int           `json:"seeds"`
	Arms       []comparedArm `json:"arms"`
	AtEqual    []equalCost   `json:"at_equal,omitempty"`
}

// equalCost is how the arms do at the cost of the cheapest, in their order.
type equalCost struct {
	Currency string     `json:"currency"` // queries, operations or seconds
	Limit    float64    `json:"limit"`
	Accuracy []meanJSON `json:"accuracy"`
	Loss     []meanJSON `json:"loss"`
}

type comparedArm struct {
	compare.Arm
	Accuracy       float64          `json:"accuracy"`
	CI95           []float64        `json:"ci95"`
	Validation     *float64         `json:"validation_accuracy,omitempty"`
	ValidationCI95 []float64        `json:"validation_ci95,omitempty"`
	Difference     *float64         `json:"difference"` // to the first arm, paired by seed
	DifferenceCI95 []float64        `json:"difference_ci95"`
	P              *float64         `json:"p_holm"` // of the difference, corrected over the arms
	Loss           float64          `json:"loss"`
	LossCI95       []float64        `json:"loss_ci95"`
	LossDiff       *float64         `json:"loss_difference"`
	LossDiffCI95   []float64        `json:"loss_difference_ci95"`
	LossP          *float64         `json:"loss_p_holm"`
	Queries        float64          `json:"queries"`
	FLOPs          float64          `json:"flops"`
	Seconds        float64          `json:"seconds"`
	PeakMiB        *float64         `json:"peak_mib"`
	Metrics        measuredJSON     `json:"metrics,omitempty"`
	Runs           []compare.Result `json:"runs"`
}

// measuredJSON are the chosen metrics of an arm over its seeds, by their tags.
type measuredJSON map[string]meanJSON

type meanJSON struct {
	Mean *float64  `json:"mean"`
	CI95 []float64 `json:"ci95"`
}

func measuredOf(a compare.ArmResult) measuredJSON {
	out := measuredJSON{}
	for _, o := range compare.MeasuresOf([]compare.ArmResult{a}) {
		m := a.Measured(o.Tag)
		out[o.Tag] = meanJSON{orNull(m.Value), interval(m)}
	}
	return out
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

// NewComparison is what a plan's arms came to.
func NewComparison(p *compare.Plan, arms []compare.ArmResult) *Comparison {
	j := &Comparison{Experiment: p.Base.Name, Equal: p.Describe(), Seeds: p.Seeds}
	for _, a := range arms {
		j.Arms = append(j.Arms, comparedArm{Arm: a.Arm, Accuracy: a.Accuracy.Value, CI95: interval(a.Accuracy),
			Validation: orNull(a.Validation.Value), ValidationCI95: interval(a.Validation), Difference: orNull(a.Difference.Value),
			DifferenceCI95: interval(a.Difference), P: orNull(a.P), Loss: a.Loss.Value, LossCI95: interval(a.Loss),
			LossDiff: orNull(a.LossDiff.Value), LossDiffCI95: interval(a.LossDiff), LossP: orNull(a.LossP),
			Queries: a.Queries, FLOPs: a.FLOPs, Seconds: a.Seconds, PeakMiB: orNull(a.PeakMiB),
			Metrics: measuredOf(a), Runs: a.Runs})
	}
	for _, c := range compare.Currencies(arms) {
		e := equalCost{Currency: c.Name, Limit: c.Limit}
		for i := range c.Accuracy {
			e.Accuracy = append(e.Accuracy, meanJSON{orNull(c.Accuracy[i].Value), interval(c.Accuracy[i])})
			e.Loss = append(e.Loss, meanJSON{orNull(c.Loss[i].Value), interval(c.Loss[i])})
		}
		j.AtEqual = append(j.AtEqual, e)
	}
	return j
}

// WriteComparison writes compare.json, compare.csv, curves.png and report.html
// into the plan's folder. version is the program's.
func WriteComparison(p *compare.Plan, arms []compare.ArmResult, version string) error {
	page, err := comparisonPage(p, arms, version)
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
		{"compare.json", func(w io.Writer) error { return json.NewEncoder(w).Encode(NewComparison(p, arms)) }},
		{"compare.csv", func(w io.Writer) error { return compareCSV(w, arms) }},
		{"curves.png", func(w io.Writer) error { return png.Encode(w, picture) }},
		{"report.html", page.Write},
	} {
		if err := fsys.WriteOutput(fsys.OS, filepath.Join(p.Dir, file.name), file.fill); err != nil {
			return err
		}
	}
	return nil
}

// orEmpty is a cell of a number that may not be there.
func orEmpty(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%.6f", *v)
}

func compareCSV(w io.Writer, arms []compare.ArmResult) error {
	head := []string{"arm", "seed", "accuracy", "loss", "steps", "queries", "evaluation_queries", "flops",
		"seconds", "peak_mib"}
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
			row := []string{a.Name, fmt.Sprint(r.Seed), fmt.Sprintf("%.6f", r.Accuracy), fmt.Sprintf("%.6f", r.Loss),
				fmt.Sprint(r.Steps), fmt.Sprint(r.Queries),
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

// comparisonPage is report.html. version is the program's.
func comparisonPage(p *compare.Plan, arms []compare.ArmResult, version string) (*report.CompareReport, error) {
	raw, err := config.Marshal(p.Base)
	if err != nil {
		return nil, err
	}
	s := compare.SplitsOf(arms)
	r := &report.CompareReport{Validation: s.Validation, Untested: s.Untested, Title: "Comparison: " + p.Base.Name,
		Lead: p.Describe() + ".", Config: string(raw),
		Facts: report.Facts{{Name: "arms", Value: fmt.Sprint(len(arms))}, {Name: "seeds", Value: fmt.Sprint(p.Seeds)}},
		Env: report.Facts{{Name: "version", Value: version}, {Name: "system", Value: runtime.GOOS + "/" + runtime.GOARCH},
			{Name: "kernel", Value: kernel.Describe()}, {Name: "cores", Value: fmt.Sprint(runtime.NumCPU())}}}
	measured := compare.MeasuresOf(arms)
	for _, o := range measured {
		r.Measures = append(r.Measures, measureOf(o))
	}
	for _, a := range arms {
		one := report.Arm{Validation: a.Validation.Value, Name: a.Name, Accuracy: a.Accuracy.Value,
			Lo: a.Accuracy.Value - a.Accuracy.Half, Hi: a.Accuracy.Value + a.Accuracy.Half,
			Difference: a.Difference.Value, DifferenceLo: a.Difference.Value - a.Difference.Half, DifferenceHi: a.Difference.Value + a.Difference.Half,
			P: a.P, Loss: a.Loss.Value, LossLo: a.Loss.Value - a.Loss.Half, LossHi: a.Loss.Value + a.Loss.Half,
			LossDiff: a.LossDiff.Value, LossDiffLo: a.LossDiff.Value - a.LossDiff.Half,
			LossDiffHi: a.LossDiff.Value + a.LossDiff.Half, LossP: a.LossP,
			Seeds: len(a.Runs), Queries: a.Queries, FLOPs: a.FLOPs, Seconds: a.Seconds, PeakMiB: a.PeakMiB, Set: a.Set}
		for _, c := range a.Curve {
			one.Curve = append(one.Curve,
				report.CurvePoint{Queries: c.Queries, Accuracy: c.Accuracy.Value, Lo: c.Accuracy.Value - c.Accuracy.Half,
					Hi: c.Accuracy.Value + c.Accuracy.Half, Seconds: c.Seconds})
		}
		for _, o := range measured {
			one.Measures = append(one.Measures, a.Measured(o.Tag).Value)
		}
		r.Arms = append(r.Arms, one)
	}
	for _, c := range compare.Currencies(arms) {
		e := report.EqualCost{Name: c.Name, Limit: c.Limit}
		for i := range c.Accuracy {
			e.Accuracy, e.Loss = append(e.Accuracy, c.Accuracy[i].Value), append(e.Loss, c.Loss[i].Value)
		}
		r.Equal = append(r.Equal, e)
	}
	return r, nil
}
