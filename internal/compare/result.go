package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/runs"
)

// Point is the accuracy along a run, on the validation split where there is one,
// else on the test split.
type Point struct {
	Step     int     `json:"step"`
	Queries  int64   `json:"queries"` // of training so far
	Accuracy float64 `json:"accuracy"`
	Loss     float64 `json:"loss"`
	Seconds  float64 `json:"seconds,omitempty"` // of training so far; 0: not known
}

// Result is a finished run.
type Result struct {
	Seed       int64   `json:"seed"`
	Steps      int     `json:"steps"`
	Accuracy   float64 `json:"accuracy"`           // on the test split, at the end; without one on the validation split
	Loss       float64 `json:"loss"`               // the same
	Queries    int64   `json:"queries"`            // of training: clean, perturbed and the allocator's
	Evaluation int64   `json:"evaluation_queries"` // counted apart
	FLOPs      int64   `json:"flops"`              // of training
	Seconds    float64 `json:"seconds"`            // of training
	PeakMiB    float64 `json:"peak_mib"`           // of the process; 0 where the system does not say
	Curve      []Point `json:"curve"`

	Metrics metric.Values `json:"metrics,omitempty"` // the chosen ones, on the same split as Accuracy

	// Only where there is a validation split.
	Split          string   `json:"split,omitempty"`               // that Accuracy is of
	Validation     *float64 `json:"validation_accuracy,omitempty"` // at the end
	ValidationLoss *float64 `json:"validation_loss,omitempty"`

	ValidationMetrics metric.Values `json:"validation_metrics,omitempty"`
}

// resultName is where the result of a run is kept, beside its folder.
func resultName(dir string, r Run) string { return filepath.Join(dir, r.Name) + ".json" }

// load reads the result of a run, nil where it has not finished.
func load(dir string, r Run) (*Result, error) {
	raw, err := os.ReadFile(resultName(dir, r))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	var res Result
	if err := json.Unmarshal(raw, &res); err != nil {
		return nil, fmt.Errorf("compare: %s: %w; remove the file to read the run again", resultName(dir, r), err)
	}
	return &res, nil
}

// collect reads a run folder whose run has ended, and keeps what it says.
func collect(dir string, r Run, peak float64) (*Result, error) {
	res, err := resultOf(filepath.Join(dir, r.Name), r, peak)
	if err != nil {
		return nil, err
	}
	return res, res.keep(dir, r)
}

// keep writes a result beside the folder of its run.
func (res *Result) keep(dir string, r Run) error {
	raw, err := json.MarshalIndent(res, "", "  ")
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	return fsys.WriteFile(fsys.OS, resultName(dir, r), append(raw, '\n'))
}

// resultOf reads a run folder whose run has ended.
func resultOf(folder string, r Run, peak float64) (*Result, error) {
	s, step, err := runs.LastState(folder)
	if err != nil {
		return nil, err
	}
	end := s.LastEval
	if end == nil {
		end = s.LastValidation
	}
	if end == nil {
		return nil, fmt.Errorf("compare: %s was never evaluated", folder)
	}
	res := &Result{Seed: r.Seed, Steps: step, Accuracy: end.Score(), Loss: end.Loss(), Metrics: end.Chosen, PeakMiB: peak,
		Evaluation: s.Ledger.Of(runs.Evaluation).Queries}
	if v := s.LastValidation; v != nil {
		score, loss := v.Score(), v.Loss()
		res.Split, res.Validation, res.ValidationLoss, res.ValidationMetrics = data.Test, &score, &loss, v.Chosen
		if end == v {
			res.Split = data.Validation
		}
	}
	for _, p := range runs.Purposes() {
		if p != runs.Evaluation {
			e := s.Ledger.Of(p)
			res.Queries, res.FLOPs, res.Seconds = res.Queries+e.Queries, res.FLOPs+e.FLOPs, res.Seconds+e.Seconds
		}
	}
	clock, err := runs.ReadClock(folder)
	if err != nil {
		return nil, err
	}
	if n := len(clock); n > 0 { // the ledger leaves out loading and updates
		res.Seconds = clock[n-1].Seconds
	}
	if res.Curve, err = curve(folder, res, clock); err != nil {
		return nil, err
	}
	return res, nil
}

// curve reads the evaluations along a run; the ledger's queries of a line hold
// the evaluations up to it, which are taken off. A budget that ends a run leaves
// no line of the evaluation after its last step.
func curve(dir string, end *Result, clock []runs.Tick) ([]Point, error) {
	seconds := map[int]float64{}
	for _, t := range clock {
		seconds[t.Step] = t.Seconds
	}
	var out []Point
	var evals int64
	last := 0 // the step of the last evaluation
	err := runs.EachStep(dir, func(m *runs.StepMetrics, bad error) error {
		if bad != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, "metrics.jsonl"), bad)
		}
		if !m.Evaluated() {
			return nil
		}
		for _, e := range []*runs.Eval{m.Validation, m.Eval} {
			if e != nil {
				evals += int64(e.Images)
			}
		}
		last = m.Step
		shown := m.Eval
		if m.Validation != nil {
			shown = m.Validation
		}
		out = append(out, Point{m.Step, m.Queries - evals, shown.Score(), shown.Loss(), seconds[m.Step]})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	if last < end.Steps {
		p := Point{end.Steps, end.Queries, end.Accuracy, end.Loss, seconds[end.Steps]}
		if end.Validation != nil {
			p.Accuracy, p.Loss = *end.Validation, *end.ValidationLoss
		}
		out = append(out, p)
	}
	return out, nil
}
