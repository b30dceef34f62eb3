// Package runs is the run folder as files: what a run writes beside its checkpoints
// (docs/formats.md), and reading it back whole or cut short.
package runs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/journal"
	"github.com/flops-vit/flops/internal/journal/steps"
	"github.com/flops-vit/flops/internal/uierr"
)

// Folder is what a run folder says, for those who look at it.
type Folder struct {
	Env     *Env          // nil where env.json is not there
	Metrics []StepMetrics // the logged steps
	Ledger  *Ledger       // nil where ledger.json is not there
	Shares  []Shares      // of every step of the journal
	Clock   []Tick        // of the logged steps; none of runs that kept no clock
	Sharing []Sharing     // of a run that other machines took part in
	// Last is the evaluation that the last checkpoint knows, after LastStep
	// updates: where a budget ended the run, no line of Metrics has it. It is nil
	// where there is none, and where the journal's last step has its own.
	Last     *Eval
	LastStep int
	// The same of the validation split, and of the best checkpoint on the test split.
	LastValidation *Eval
	ValidationStep int
	BestTest       *BestEval
	Notes          []string // what is missing or ends early, a line each

	taken int // steps of the journal
}

// Shares are the queries that each image of one step got.
type Shares struct {
	Step   int // updates made after it
	Counts []int
}

// maxMetric is the longest line of metrics.jsonl that is read.
const maxMetric = 1 << 20

// Read reads the files of a run folder. A run that was killed may have a
// last line or record that is not whole: what stands before it counts, and a
// note says so. A file that is not there is a note; one that is not what it
// should be is an error that names it.
func Read(dir string) (*Folder, error) {
	r := &Folder{}
	if err := r.readMetrics(filepath.Join(dir, "metrics.jsonl")); err != nil {
		return nil, err
	}
	if err := r.readJSON(filepath.Join(dir, "env.json"), &r.Env); err != nil {
		return nil, err
	}
	if err := r.readJSON(filepath.Join(dir, "ledger.json"), &r.Ledger); err != nil {
		return nil, err
	}
	if err := r.readJournal(filepath.Join(dir, "journal.bin")); err != nil {
		return nil, err
	}
	if err := r.readClock(filepath.Join(dir, "clock.csv")); err != nil {
		return nil, err
	}
	r.Sharing = ReadSharing(dir)
	r.readLast(dir)
	return r, nil
}

// readLast looks into the last checkpoint, which means reading and verifying
// all of it, only where its evaluation can be news. A page needs no checkpoint.
func (r *Folder) readLast(dir string) {
	evaluated := 0
	for _, m := range r.Metrics {
		if m.Eval != nil {
			evaluated = m.Step
		}
	}
	if r.taken > 0 && evaluated == r.taken {
		return
	}
	if s, _, err := LastState(dir); err == nil {
		r.Last, r.LastStep = s.LastEval, s.EvalStep
		r.LastValidation, r.ValidationStep, r.BestTest = s.LastValidation, s.ValidationStep, s.BestTest
	}
}

func (r *Folder) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Folder) readMetrics(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		r.note("%s is not there", path)
		return nil
	}
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxMetric)
	return r.lines(lines, path, "remove it, or take the file from a backup", func(_ int, line []byte) error {
		var m StepMetrics
		if err := json.Unmarshal(line, &m); err != nil {
			return err
		}
		r.Metrics = append(r.Metrics, m)
		if m.Best != nil {
			r.BestTest = m.Best
		}
		return nil
	})
}

// lines takes a file of the run line by line. The last may not be whole, which is noted;
// of another that take refuses, cure says what to do.
func (r *Folder) lines(lines *bufio.Scanner, path, cure string, take func(n int, line []byte) error) error {
	for n := 1; lines.Scan(); n++ {
		if err := take(n, lines.Bytes()); err != nil {
			if lines.Scan() {
				return uierr.Wrap(err, fmt.Sprintf("%s:%d: %v", path, n, err), "the line was altered; "+cure)
			}
			r.note("%s: the last line is not whole", path)
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err), "this is no "+filepath.Base(path)+" of a run")
	}
	return nil
}

func (r *Folder) readJSON(path string, to any) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		r.note("%s is not there", path)
		return nil
	}
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err), "the file was altered; resuming the run writes it again")
	}
	return nil
}

func (r *Folder) readJournal(path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		r.note("%s is not there", path)
		return nil
	}
	j, err := journal.Open(path)
	if err != nil {
		return err
	}
	defer j.Close()
	for {
		s, err := steps.Next(j)
		var torn *journal.TornError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &torn):
			r.note("%s: %v", path, err)
			return nil
		case err != nil:
			return err
		}
		r.taken = int(s.Step) + 1
		one := Shares{Step: r.taken}
		for _, n := range s.Counts {
			one.Counts = append(one.Counts, int(n))
		}
		if len(one.Counts) > 0 {
			r.Shares = append(r.Shares, one)
		}
	}
}
