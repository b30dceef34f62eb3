package train

import (
	"fmt"

	"github.com/flops-vit/flops/internal/checkpoint"
)

// Back is the error of a step that finds the steps from one on to be wrong, such as by
// answers of somebody who cannot be trusted: the run goes on from the last checkpoint
// that is not later, as if they had not been.
type Back struct {
	From int    // the first step that cannot be trusted
	Why  string // a line for whoever watches
}

// Error says why.
func (b *Back) Error() string { return b.Why }

// back restores the last checkpoint that has only what is trusted, with its ledger, and
// removes those after it.
func (r *run) back(b *Back) error {
	steps, err := r.store.Steps()
	if err != nil {
		return err
	}
	for _, s := range steps {
		if s > b.From {
			if err := r.o.Disk.RemoveAll(r.store.Dir(s)); err != nil {
				return fmt.Errorf("checkpoint of step %d: %w", s, err)
			}
		}
	}
	from, err := r.rewind()
	if err != nil {
		return err
	}
	r.o.Watch.Warned(fmt.Sprintf("%s; back to step %d", b.Why, from))
	if err := r.reopen(); err != nil {
		return err
	}
	r.o.Watch.Begins(from)
	return nil
}

// rewind restores the newest sound checkpoint, and says of which step it is.
func (r *run) rewind() (step int, err error) {
	from, err := r.newest()
	if err != nil {
		return 0, err
	}
	if err := r.restore(from); err != nil {
		return 0, err
	}
	r.saved, r.bestNow = from.Step, false
	return from.Step, nil
}

// reopen cuts the run's files back to the checkpoint that it is at; the answers of a
// called model go on: they were paid for.
func (r *run) reopen() error {
	if err := r.closeFiles(); err != nil {
		return err
	}
	return r.files(false)
}

// newest is the newest sound checkpoint; those that are not are told of.
func (r *run) newest() (*checkpoint.Checkpoint, error) {
	c, skipped, err := r.store.Latest()
	for _, s := range skipped {
		r.o.Watch.Warned(s.Error())
	}
	return c, err
}
