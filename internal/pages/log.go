package pages

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/ui"
)

// Log is run.log: what a run said, with the time, whatever the terminal
// showed. A resumed run adds to it. A log that cannot be written is said once
// and ends no run.
type Log struct {
	f    *os.File
	warn func(string)
	next train.Watcher
	last time.Time // when a step was last written
}

// stepsEvery is the time between two steps that the log tells of.
const stepsEvery = 10 * time.Second

// OpenLog adds to the log of a run folder what next is told.
func OpenLog(dir string, warn func(string), next train.Watcher) *Log {
	l := &Log{warn: warn, next: next}
	f, err := os.OpenFile(filepath.Join(dir, "run.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		warn(fmt.Sprintf("no run.log: %v", err))
		return l
	}
	l.f = f
	return l
}

// Line writes one line with the time.
func (l *Log) Line(format string, args ...any) {
	if l.f == nil {
		return
	}
	if _, err := fmt.Fprintf(l.f, "%s %s\n", time.Now().UTC().Format(time.RFC3339),
		fmt.Sprintf(format, args...)); err != nil {
		l.warn(fmt.Sprintf("run.log ends here: %v", err))
		l.Close()
	}
}

// Close closes the file.
func (l *Log) Close() {
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}

// Begins notes where a resumed run goes on.
func (l *Log) Begins(step int) {
	if step > 0 {
		l.Line("going on after step %d", step)
	}
	l.next.Begins(step)
}

// Stepped notes a step every few seconds.
func (l *Log) Stepped(m *runs.StepMetrics, rate float64) {
	if time.Since(l.last) >= stepsEvery {
		l.last = time.Now()
		l.Line("step %d: loss %.4f, accuracy %.3f, %s queries so far, %s/s", m.Step, m.Loss, m.Accuracy, ui.Count(m.Queries),
			ui.Count(int64(rate)))
	}
	l.next.Stepped(m, rate)
}

// Evaluated notes what a split measured.
func (l *Log) Evaluated(step int, split string, e *runs.Eval) {
	l.Line("step %d: %s %.4f, loss %.4f%s on %d images", step, e.Measure(split), e.Score(), e.Loss(), e.More(), e.Images)
	l.next.Evaluated(step, split, e)
}

// Saved notes a checkpoint.
func (l *Log) Saved(step int, dir string) {
	l.Line("step %d: saved %s", step, dir)
	l.next.Saved(step, dir)
}

// Warned notes a warning.
func (l *Log) Warned(s string) {
	l.Line("warning: %s", s)
	l.next.Warned(s)
}
