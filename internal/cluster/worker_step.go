package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/flops-vit/flops/internal/journal"
	"github.com/flops-vit/flops/internal/journal/steps"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
)

// loop asks for work and does it, until the run stands elsewhere or has ended.
func (w *Worker) loop(ctx context.Context) error {
	for failed := 0; ; {
		r := request{epoch: w.epoch, worker: w.id, step: uint32(w.f.Step()), have: uint32(len(w.record)),
			result: w.pending}
		if s := w.f.Step(); s%digestEvery == 0 && s > 0 && s != w.sent {
			d := [sha256.Size]byte(w.f.Digest())
			r.digest = &d
		}
		raw, err := w.ask(ctx, "work", r.encode(), 2*parkTime)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if uierr.IsMistake(err) {
				return err
			}
			if failed++; failed > 3 { // the coordinator may be another process by now
				return errAgain
			}
			pause(ctx, 100*time.Millisecond)
			continue
		}
		a, err := decodeReply(raw)
		if err != nil {
			return errAgain
		}
		failed = 0
		switch w.pending = nil; a.verdict {
		case known:
			w.Known.Add(1)
		case stale:
			w.Stale.Add(1)
		}
		if r.digest != nil {
			w.sent = w.f.Step()
		}
		if err := w.obey(ctx, a); err != nil {
			return err
		}
	}
}

// obey does what a reply says.
func (w *Worker) obey(ctx context.Context, a *reply) error {
	switch a.kind {
	case again:
		return errAgain
	case done:
		return errDone
	case leave:
		return uierr.New(without+clean(string(a.piece), 500),
			"see why this machine computes otherwise before it takes part again")
	case record:
		return w.take(ctx, a)
	case task:
		return w.answer(ctx, a)
	case asks:
		return w.call(ctx, a)
	}
	return nil
}

// take makes the update of a step that is over.
func (w *Worker) take(ctx context.Context, a *reply) error {
	if int(a.step) != w.f.Step() || int(a.offset) != len(w.record) || a.length > maxRecord {
		return errAgain
	}
	if w.record = append(w.record, a.piece...); len(w.record) < int(a.length) {
		return nil
	}
	rec, err := steps.Decode(journal.Record{Step: a.step, Kind: journal.KindStep, Body: w.record})
	w.record = nil
	if err != nil {
		return errAgain
	}
	if err := w.f.Apply(ctx, rec); err != nil {
		var d *train.Diverged
		if errors.As(err, &d) { // the run finds that, too, and goes back
			pause(ctx, 200*time.Millisecond)
			return errAgain
		}
		return err
	}
	w.At.Store(int64(w.f.Step()))
	if w.f.Measured() { // the model is wanted for that first
		return nil
	}
	// The clean pass of the coming step, while the coordinator makes its own.
	return w.f.Prepare(ctx)
}

// call asks a called model.
func (w *Worker) call(ctx context.Context, a *reply) error {
	if int(a.step) != w.f.Step() || w.x.Called() == nil {
		return errAgain
	}
	began := time.Now()
	logits, err := w.f.Asked(ctx, a.names)
	if err != nil {
		return err
	}
	w.Tasks.Add(1)
	w.Queries.Add(int64(len(a.names)))
	w.pending = &result{step: a.step, part: callPart, first: a.first, images: uint32(len(a.names)),
		micros: uint32(min(time.Since(began).Microseconds(), 1<<31)), losses: logits}
	return nil
}

// maxRecord bounds the record of a step that a worker takes.
const maxRecord = 1 << 28

// answer evaluates a task.
func (w *Worker) answer(ctx context.Context, a *reply) error {
	if int(a.step) != w.f.Step() {
		return errAgain
	}
	counts := make([]int, len(a.counts))
	for i, n := range a.counts {
		if n > 1<<24 {
			return errAgain
		}
		counts[i] = int(n)
	}
	began := time.Now()
	var losses []float32
	var err error
	if split := splitOf(int(a.part)); split != "" {
		losses, err = w.f.Evaluate(ctx, split, int(a.first), len(counts))
	} else {
		losses, err = w.f.Losses(ctx, int(a.part), int(a.first), counts)
	}
	if err != nil {
		return err
	}
	w.Tasks.Add(1)
	for _, n := range counts {
		w.Queries.Add(int64(n))
	}
	w.pending = &result{step: a.step, part: a.part, first: a.first, images: uint32(len(counts)),
		micros: uint32(min(time.Since(began).Microseconds(), 1<<31)), losses: losses}
	return nil
}
