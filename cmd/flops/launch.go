package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"

	"github.com/flops-vit/flops/internal/bench"
	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/uierr"
)

// launcher runs this program again for each run of a comparison, and passes
// signals on, so that the run saves before the comparison ends.
type launcher struct {
	warn  func(string)
	ch    chan os.Signal
	mu    sync.Mutex
	child *os.Process
	stop  bool
	tell  func() // of a signal; may be nil
}

func newLauncher(warn func(string)) *launcher {
	l := &launcher{warn: warn, ch: make(chan os.Signal, 2)}
	signal.Notify(l.ch, stopSignals()...)
	go func() {
		for s := range l.ch {
			l.mu.Lock()
			if l.child != nil && (l.stop || s != os.Interrupt) { // a terminal sends the first SIGINT to the run itself
				_ = l.child.Signal(s)
			}
			l.stop = true
			tell := l.tell
			l.mu.Unlock()
			if tell != nil {
				tell()
			}
		}
	}()
	return l
}

func (l *launcher) stopped() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.stop }

// onStop has f called when a signal comes.
func (l *launcher) onStop(f func()) { l.mu.Lock(); l.tell = f; l.mu.Unlock() }

func (l *launcher) close() { signal.Stop(l.ch); close(l.ch) }

// launch is a compare.Launch.
func (l *launcher) launch(ctx context.Context, args []string, log string) (float64, error) {
	if l.stopped() {
		return 0, ui.ErrInterrupted
	}
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("compare: %w", err)
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, uierr.Wrap(err, fmt.Sprintf("--output: %v", err), "name a folder that can be written")
	}
	defer out.Close()
	var said bytes.Buffer
	c := exec.CommandContext(ctx, self, args...)
	c.Env, c.Stdout, c.Stderr = childEnv(), out, &tee{out, &said}
	if err := c.Start(); err != nil {
		return 0, fmt.Errorf("compare: %w", err)
	}
	l.set(c.Process)
	err = c.Wait()
	l.set(nil)
	if err != nil {
		return 0, l.failure(err, &said)
	}
	return bench.PeakMiBOf(c.ProcessState), nil
}

func (l *launcher) set(p *os.Process) { l.mu.Lock(); l.child = p; l.mu.Unlock() }

// failure is what a run said when it ended badly, with its exit status kept.
func (l *launcher) failure(err error, said *bytes.Buffer) error {
	what, hint := "", ""
	for s := bufio.NewScanner(said); s.Scan(); {
		if t, ok := strings.CutPrefix(s.Text(), "flops: error: "); ok {
			what = t
		}
		if t, ok := strings.CutPrefix(s.Text(), "flops: hint: "); ok {
			hint = t
		}
	}
	var e *exec.ExitError
	switch {
	case errors.As(err, &e) && e.ExitCode() == ui.StatusInterrupt:
		l.mu.Lock()
		l.stop = true
		l.mu.Unlock()
		return ui.ErrInterrupted
	case errors.As(err, &e) && e.ExitCode() == ui.StatusMistake && what != "":
		return uierr.New(what, hint)
	case what != "":
		return uierr.Failed(err, what, hint)
	}
	return fmt.Errorf("the run ended: %w", err)
}

// tee writes to a file, and the last part of it to memory.
type tee struct {
	file *os.File
	last *bytes.Buffer
}

func (t *tee) Write(p []byte) (int, error) {
	const keep = 64 << 10
	if t.last.Len()+len(p) > keep {
		t.last.Reset()
	}
	t.last.Write(p[:min(len(p), keep)])
	return t.file.Write(p)
}
