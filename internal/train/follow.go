package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/journal/steps"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/remote"
	"github.com/flops-vit/flops/internal/runs"
)

// Follower takes the steps of a run that is elsewhere as its records say, and answers
// queries of the step that is under way there. Its weights are that run's, bit for bit.
type Follower struct {
	t *Trainer
	s *lr.Step // the coming step; nil before Prepare
}

// NewFollower follows with an experiment that is the run's.
func NewFollower(x *Experiment) *Follower {
	if m := x.Called(); m != nil {
		m.Follow()
	}
	return &Follower{t: NewTrainer(x)}
}

// Load puts it where a checkpoint stands.
func (f *Follower) Load(c *checkpoint.Checkpoint) error {
	s, err := runs.StateOf(c)
	if err != nil {
		return err
	}
	f.s = nil
	if err := f.t.load(c); err != nil {
		return err
	}
	f.t.Factor = s.Factor
	return f.t.X.Estimator.Restore(s.Estimator)
}

// Step is the number of updates made.
func (f *Follower) Step() int { return f.t.Step }

// Prepare runs the clean pass of the coming step, if that was not done.
func (f *Follower) Prepare(ctx context.Context) (err error) {
	if f.s == nil {
		f.s, err = f.t.prepare(ctx)
	}
	return err
}

// Measured says that the run is evaluated where it stands.
func (f *Follower) Measured() bool { return f.t.X.measuredAfter(f.t.Step) }

// Evaluate is what an evaluation says of n images of a split, from first on: the losses, and
// then the outputs.
func (f *Follower) Evaluate(ctx context.Context, split string, first, n int) ([]float32, error) {
	s := f.t.X.split(split)
	if s == nil {
		return nil, fmt.Errorf("train: there is no %s split", split)
	}
	f.s = nil // the model forgets the clean pass
	var out, logits []float32
	err := f.t.averaged(func() error {
		for b, err := range s.Loader.From(first, n, f.t.X.Config.Train.BatchSize) {
			var c *forward.Clean
			if err == nil {
				c, err = f.t.X.Model.Evaluate(ctx, b)
			}
			if err != nil {
				return err
			}
			out, logits = append(out, c.Losses...), append(logits, c.Logits...)
		}
		out = append(out, logits...)
		return nil
	})
	return out, err
}

// split is that of a name, nil where there is none.
func (x *Experiment) split(name string) *Split {
	for _, s := range x.Splits() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Losses answers the queries of some images, from first on, each with its count, under a
// perturbation of the coming step's plan: their losses, and of one of layers the outputs
// after them.
func (f *Follower) Losses(ctx context.Context, part, first int, counts []int) ([]float32, error) {
	if err := f.Prepare(ctx); err != nil {
		return nil, err
	}
	plan := lr.Plan(f.t.X.Estimator, uint32(f.t.Step))
	if part < 0 || part >= len(plan) || first < 0 || len(counts) > f.s.Batch.Size-first {
		return nil, fmt.Errorf("train: step %d has no part %d of images %d to %d", f.t.Step, part, first,
			first+len(counts)-1)
	}
	q := forward.Planned(nil, first, counts, f.t.X.Config.Estimator.Antithetic)
	a := forward.Questions{Perturbation: &plan[part], Queries: q}
	out := make([]float32, len(q))
	if plan[part].Kind == forward.Layers {
		out = make([]float32, len(q)*(1+f.s.Clean.Classes))
		a.Outputs = out[len(q):]
	}
	a.Losses = out[:len(q)]
	return out, a.Answer(ctx, f.s.Pass)
}

// Asked asks a called model about named images: of the coming step's batch, or of a split
// as an evaluation has them.
func (f *Follower) Asked(ctx context.Context, names []remote.Name) ([]float32, error) {
	m := f.t.X.Called()
	plan := lr.Plan(f.t.X.Estimator, uint32(f.t.Step))
	if m == nil || len(names) == 0 || len(plan) == 0 {
		return nil, errors.New("train: there is no model to be called")
	}
	set := names[0].Set
	if slices.ContainsFunc(names, func(n remote.Name) bool { return n.Set != set }) {
		return nil, errors.New("train: images of two sets are asked about at once")
	}
	if set == remote.OfBatch {
		if err := f.Prepare(ctx); err != nil {
			return nil, err
		}
		return m.Named(ctx, f.s.Batch, &plan[0], names)
	}
	split, names := f.t.X.Validation, slices.Clone(names)
	if set == remote.OfTest {
		split = f.t.X.Test
	}
	lo, hi := names[0].Image, names[0].Image
	for _, n := range names {
		lo, hi = min(lo, n.Image), max(hi, n.Image)
	}
	if split == nil || int(hi) >= split.Data.Len() {
		return nil, fmt.Errorf("train: no image %d in such a split", hi)
	}
	for i := range names {
		names[i].Image -= lo
	}
	var out []float32
	err := f.t.averaged(func() error {
		for b, err := range split.Loader.From(int(lo), int(hi-lo)+1, int(hi-lo)+1) {
			if err == nil {
				out, err = m.Named(ctx, b, &plan[0], names)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Apply makes the update that the record of the coming step describes.
func (f *Follower) Apply(ctx context.Context, rec *steps.Record) error {
	if int(rec.Step) != f.t.Step {
		return fmt.Errorf("train: the record of step %d where %d was to come", rec.Step, f.t.Step)
	}
	if err := f.Prepare(ctx); err != nil {
		return err
	}
	s := f.s
	f.s = nil
	return f.t.take(ctx, s, rec)
}

// Digest is the SHA-256 of the trained weights, to see whether two have the same.
func (f *Follower) Digest() [sha256.Size]byte { return f.t.Digest() }

// Digest is the SHA-256 of the trained weights, bit for bit.
func (t *Trainer) Digest() [sha256.Size]byte {
	h := sha256.New()
	if t.X.settle() != nil { // and the digest of weights that cannot be had is nobody's
		return [sha256.Size]byte{}
	}
	for _, p := range t.X.Trained {
		hashFloats(h, p.Data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func hashFloats(h hash.Hash, v []float32) {
	b := make([]byte, 0, 4096)
	for i, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		if len(b) == cap(b) || i == len(v)-1 {
			h.Write(b)
			b = b[:0]
		}
	}
}
