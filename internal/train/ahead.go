package train

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/journal"
	"github.com/flops-vit/flops/internal/journal/steps"
	"github.com/flops-vit/flops/internal/lr"
)

// The journal is written ahead: a step's record is on the disk when its queries are
// answered, before anybody hears of it and before the update. A run that was killed
// finds after its last checkpoint the records of the steps that it took since, and
// takes them again with the answers known.

// ahead keeps the records of steps before their updates.
type ahead struct {
	w    *journal.Writer
	open func(end int64) (*journal.Writer, error) // the journal, cut there
	tail []kept                                   // of the steps after the last checkpoint, which come again
	told func(*steps.Record) error                // who is told of a record that is kept; nil: nobody
	end  int64                                    // of the last record taken, while there is a tail
}

// kept is a record and where it ends.
type kept struct {
	*steps.Record
	end int64
}

// readTail lists the records after a journal's offset that a run at a step comes to
// next, as far as the file is sound.
func readTail(path string, offset int64, step int) ([]kept, error) {
	r, err := journal.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var tail []kept
	for {
		rec, err := steps.Next(r)
		var torn *journal.TornError
		switch {
		case errors.Is(err, io.EOF) || errors.As(err, &torn):
			return tail, nil
		case err != nil:
			return nil, err
		case r.Offset() <= offset:
		case int(rec.Step) != step+len(tail):
			return tail, nil
		default:
			tail = append(tail, kept{rec, r.Offset()})
		}
	}
}

// openAhead opens the journal of a run folder behind its last record that counts: at
// an offset, or behind the tail that follows it.
func openAhead(r *run, hash [32]byte, tail bool) (*ahead, error) {
	path, from := filepath.Join(r.o.Dir, "journal.bin"), r.state.Journal
	a := &ahead{end: from, told: r.o.Taken, open: func(end int64) (*journal.Writer, error) {
		return journal.Resume(r.o.Disk, path, hash, end)
	}}
	if from == 0 {
		var err error
		if a.w, err = journal.Create(r.o.Disk, path, hash); err != nil {
			return nil, err
		}
		return a, nil
	}
	if tail {
		var err error
		if a.tail, err = readTail(path, from, r.t.Step); err != nil {
			return nil, err
		}
	}
	if n := len(a.tail); n > 0 {
		from = a.tail[n-1].end
	}
	w, err := a.open(from)
	if err != nil {
		return nil, err
	}
	a.w = w
	return a, nil
}

// close closes the journal.
func (a *ahead) close() error { return a.w.Close() }

// sync puts the journal on the disk and returns where the last step ends in it.
func (a *ahead) sync() (int64, error) {
	n, err := a.w.Sync()
	if len(a.tail) > 0 {
		n = a.end
	}
	return n, err
}

// known is the record of the coming step, nil where there is none. One that this run
// would not have written, since a setting has changed, ends the tail.
func (a *ahead) known(now *steps.Record) (*steps.Record, error) {
	if len(a.tail) == 0 {
		return nil, nil
	}
	k := a.tail[0]
	if k.Seed == now.Seed && slices.Equal(k.Images, now.Images) && slices.Equal(k.Counts, now.Counts) &&
		slices.Equal(k.Chance, now.Chance) && slices.Equal(k.Values, now.Values) {
		a.tail, a.end = a.tail[1:], k.end
		return k.Record, nil
	}
	a.tail = nil
	err := a.w.Close()
	if err == nil {
		a.w, err = a.open(a.end)
	}
	return nil, err
}

// keep writes a step's record.
func (a *ahead) keep(s *steps.Record) error {
	if err := a.w.Append(s.Encode()); err != nil {
		return err
	}
	_, err := a.w.Sync()
	return err
}

// answer finds out what the queries of a step say: in the journal, or by asking,
// and then it is written there.
func (t *Trainer) answer(ctx context.Context, s *lr.Step) (*forward.Result, error) {
	x := t.X
	if t.ahead == nil {
		return lr.Ask(ctx, x.Model, x.Estimator, s)
	}
	known, err := t.ahead.known(t.record(s, nil))
	if err != nil {
		return nil, err
	}
	if known != nil && s.Asks(x.Estimator) {
		return x.Estimator.(lr.Asker).Answered(x.Model, &s.Step, recordsOf(known)), t.ahead.tell(known)
	}
	r, err := lr.Ask(ctx, x.Model, x.Estimator, s)
	if err != nil {
		return nil, err
	}
	now := t.record(s, r.Records)
	if known == nil {
		err = t.ahead.keep(now)
	}
	if err == nil {
		err = t.ahead.tell(now)
	}
	return r, err
}

// tell says that a record is kept.
func (a *ahead) tell(s *steps.Record) error {
	if a.told == nil {
		return nil
	}
	return a.told(s)
}
