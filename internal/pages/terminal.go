package pages

import (
	"fmt"
	"io"

	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/ui"
)

// Terminal shows a run on the terminal, or in lines of JSON.
type Terminal struct {
	p      *ui.Progress
	w      io.Writer
	format string
	steps  int
	warn   func(string)
}

// NewTerminal shows a run of so many steps, as text or json.
func NewTerminal(w io.Writer, format string, steps int, warn func(string)) *Terminal {
	return &Terminal{w: w, format: format, steps: steps, warn: warn}
}

// Begins starts the clock that the time left is told by.
func (v *Terminal) Begins(step int) {
	if v.p == nil {
		v.p = ui.NewProgress(v.w, v.format, step, v.steps)
	}
}

// Stepped shows a step.
func (v *Terminal) Stepped(m *runs.StepMetrics, rate float64) {
	v.p.Step(ui.Update{Step: m.Step, Steps: v.steps, Loss: m.Loss, Accuracy: m.Accuracy, Rate: rate, Queries: m.Queries})
}

// Evaluated shows what a split measured.
func (v *Terminal) Evaluated(step int, split string, e *runs.Eval) {
	fields := map[string]any{"step": step, "split": split, "top1": e.Score(), "loss": e.Loss(), "images": e.Images}
	if len(e.Chosen) > 0 {
		fields["metrics"] = e.Chosen
	}
	v.p.Line("eval", fmt.Sprintf("step %d: %s %.4f, loss %.4f%s (%d images, %.0f images/s)",
		step, e.Measure(split), e.Score(), e.Loss(), e.More(), e.Images, e.PerSecond), fields)
}

// Saved tells of a checkpoint, in JSON alone.
func (v *Terminal) Saved(step int, dir string) {
	if v.p != nil && v.format == "json" {
		v.p.Line("saved", "", map[string]any{"step": step, "path": dir})
	}
}

// Warned passes a warning on.
func (v *Terminal) Warned(line string) { v.warn(line) }

// Done ends what is shown.
func (v *Terminal) Done() {
	if v.p != nil {
		v.p.Done()
	}
}
