package checkpoint

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// Load verifies and reads the checkpoint of one step. One that is torn or
// altered is refused with an *uierr.Error that names the file.
func (s *Store) Load(step int) (*Checkpoint, error) {
	dir := s.Dir(step)
	if old := s.aside(step); !fsys.Exists(dir) && fsys.Exists(old) {
		dir = old // a save was stopped while it replaced this very step
	}
	c, err := LoadDir(dir)
	if err != nil {
		return nil, err
	}
	if c.Step != step {
		return nil, refuse(dir, fmt.Errorf("%s says step %d", stateName, c.Step))
	}
	return c, nil
}

// LoadDir verifies and reads the checkpoint in a folder.
func LoadDir(dir string) (*Checkpoint, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fsys.ReadError(err, dir)
	}
	names, err := verify(dir)
	if err != nil {
		return nil, refuse(dir, err)
	}
	c := &Checkpoint{}
	if err := c.readState(filepath.Join(dir, stateName)); err != nil {
		return nil, refuse(dir, err)
	}
	if hf.Holds(names) {
		c.Model, err = hf.Load(dir)
	} else {
		c.Model, err = hf.LoadTensors(dir)
	}
	if err != nil {
		return nil, refuse(dir, err)
	}
	if c.Optimizer, _, err = safetensors.ReadFile(filepath.Join(dir, optimizerName)); err != nil {
		return nil, refuse(dir, err)
	}
	return c, nil
}

func (c *Checkpoint) readState(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var state json.RawMessage
	f := stateFile{State: &state}
	if err := json.Unmarshal(raw, &f); err != nil {
		return fmt.Errorf("%s: %w", stateName, err)
	}
	if f.Format != stateFormat {
		return fmt.Errorf("%s has format %d, this version reads %d", stateName, f.Format, stateFormat)
	}
	c.Step, c.State = f.Step, state
	return nil
}

func refuse(dir string, err error) error {
	return uierr.Wrap(err, fmt.Sprintf("checkpoint %s is refused: %v", dir, err),
		"use an earlier checkpoint of the run, or a copy of this one")
}

// Latest reads the last sound checkpoint of a run: the one that "last" names,
// else the newest before it, else the oldest after it. skipped says why those that come
// first in this order were refused; with no sound one the error is an
// *uierr.Error.
func (s *Store) Latest() (c *Checkpoint, skipped []error, err error) {
	steps, err := s.Steps()
	if err != nil {
		return nil, nil, err
	}
	last, ok, err := s.pointer(lastName)
	if err != nil {
		skipped = append(skipped, err)
	}
	for _, step := range inOrder(steps, last, ok) {
		c, err := s.Load(step)
		if err == nil {
			return c, skipped, nil
		}
		skipped = append(skipped, err)
	}
	what := s.Run + ": no checkpoint to go on from"
	if len(skipped) > 0 {
		what = fmt.Sprintf("%s: none of %d checkpoints is sound", s.Run, len(skipped))
	}
	return nil, skipped, uierr.New(what, "start the run anew in another folder")
}

// inOrder sorts ascending steps by the order in which Latest tries them.
// Steps after last were saved by a run that stopped before it could say so,
// or before it was rolled back; they come last.
func inOrder(steps []int, last int, ok bool) []int {
	var out, after []int
	for i := len(steps) - 1; i >= 0; i-- {
		if ok && steps[i] > last {
			after = append([]int{steps[i]}, after...)
			continue
		}
		out = append(out, steps[i])
	}
	return append(out, after...)
}

// Best reads the checkpoint that was saved as the best.
func (s *Store) Best() (*Checkpoint, error) {
	step, ok, err := s.pointer(bestName)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, uierr.New(s.Run+": no best checkpoint",
			"set checkpoint.keep_best and train.eval_every, or use the last one")
	}
	return s.Load(step)
}
