package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/ui"
)

// runLog is run.log: what a run said, with the time, whatever the terminal
// showed. A resumed run adds to it. A log that cannot be written is said once
// and ends no run.
type runLog struct {
	f    *os.File
	warn func(string)
	next train.Watcher
	last time.Time // when a step was last written
}

// stepsEvery is the time between two steps that the log tells of.
const stepsEvery = 10 * time.Second

func openLog(dir string, warn func(string), next train.Watcher) *runLog {
	l := &runLog{warn: warn, next: next}
	f, err := os.OpenFile(filepath.Join(dir, "run.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		warn(fmt.Sprintf("no run.log: %v", err))
		return l
	}
	l.f = f
	return l
}

// line writes one line with the time.
func (l *runLog) line(format string, args ...any) {
	if l.f == nil {
		return
	}
	if _, err := fmt.Fprintf(l.f, "%s %s\n", time.Now().UTC().Format(time.RFC3339),
		fmt.Sprintf(format, args...)); err != nil {
		l.warn(fmt.Sprintf("run.log ends here: %v", err))
		l.close()
	}
}

func (l *runLog) close() {
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}

func (l *runLog) Begins(step int) {
	if step > 0 {
		l.line("going on after step %d", step)
	}
	l.next.Begins(step)
}

func (l *runLog) Stepped(m *runs.StepMetrics, rate float64) {
	if time.Since(l.last) >= stepsEvery {
		l.last = time.Now()
		l.line("step %d: loss %.4f, accuracy %.3f, %s queries so far, %s/s", m.Step, m.Loss, m.Accuracy, ui.Count(m.Queries),
			ui.Count(int64(rate)))
	}
	l.next.Stepped(m, rate)
}

func (l *runLog) Evaluated(step int, split string, e *runs.Eval) {
	l.line("step %d: %s %.4f, loss %.4f%s on %d images", step, e.Measure(split), e.Score(), e.Loss(), e.More(), e.Images)
	l.next.Evaluated(step, split, e)
}

func (l *runLog) Saved(step int, dir string) {
	l.line("step %d: saved %s", step, dir)
	l.next.Saved(step, dir)
}

func (l *runLog) Warned(s string) {
	l.line("warning: %s", s)
	l.next.Warned(s)
}
