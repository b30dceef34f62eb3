package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/testkit"
)

// counted counts the queries that a pass is asked.
type counted struct {
	forward.Pass
	asked *int
}

func (c counted) Losses(ctx context.Context, p *forward.Perturbation, q []forward.Query, out []float32) error {
	*c.asked += len(q)
	return c.Pass.Losses(ctx, p, q, out)
}

func (c counted) AskTogether(ctx context.Context, all []forward.Questions) error {
	for _, q := range all {
		*c.asked += len(q.Queries)
		if err := q.Answer(ctx, c.Pass); err != nil {
			return err
		}
	}
	return nil
}

var errKilled = errors.New("killed")

// killAfter runs an experiment, from its last checkpoint where there is one, until a
// step is over, or to its end; it says how many queries were asked.
func killAfter(t *testing.T, c config.Config, dir string, step int) (asked int) {
	t.Helper()
	x := open(t, c)
	x.Model = query.AnsweredBy(x.Model, func(_ *forward.Batch, p forward.Pass) forward.Evaluator {
		return counted{p, &asked}
	})
	_, err := Run(context.Background(), x, RunOptions{Dir: dir, Resume: true, Watch: &quiet{},
		Each: func(tr *Trainer) error {
			if tr.Step == step {
				return errKilled
			}
			return nil
		}})
	if err != nil && !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	return asked
}

// TestTailIsTakenAgain kills a run two steps after a checkpoint: it goes on with
// the answers known, asks none of them again, and ends as one that was not killed.
func TestTailIsTakenAgain(t *testing.T) {
	for name, c := range methods() {
		t.Run(name, func(t *testing.T) {
			c.Train.Steps, c.Checkpoint.Every = 9, 6
			want := whole(t, c)
			dir := t.TempDir()
			all := killAfter(t, c, dir, 5) // before the first checkpoint
			all += killAfter(t, c, dir, 5) // and again: nothing is left to ask
			all += killAfter(t, c, dir, 8)
			all += killAfter(t, c, dir, 0)
			same(t, dir, want, c.Train.Steps)
			if perturbed := ledgerOf(t, dir).Of("perturbed").Queries; int64(all) != perturbed {
				t.Errorf("%d queries were asked, the ledger has %d", all, perturbed)
			}
		})
	}
}

// TestTornTail cuts the journal of a killed run at every few bytes of its tail: the
// steps that are whole are not asked again.
func TestTornTail(t *testing.T) {
	c := tiny()
	c.Train.Steps, c.Train.EvalEvery, c.Checkpoint.Every = 4, 4, 4
	want := whole(t, c)
	killed := t.TempDir()
	per := killAfter(t, c, killed, 3) / 3
	raw, err := os.ReadFile(filepath.Join(killed, "journal.bin"))
	testkit.Must(t, err)
	tail, err := readTail(filepath.Join(killed, "journal.bin"), 48, 0)
	testkit.Must(t, err)
	if len(tail) != 3 {
		t.Fatalf("%d steps after 3 were taken", len(tail))
	}
	for _, end := range []int64{tail[0].end - 1, tail[0].end, tail[0].end + 5, tail[2].end - 4} {
		dir := t.TempDir()
		testkit.Must(t, os.CopyFS(dir, os.DirFS(killed)))
		testkit.Must(t, os.WriteFile(filepath.Join(dir, "journal.bin"), raw[:end], 0o600))
		sound := 0
		for _, k := range tail {
			if k.end <= end {
				sound++
			}
		}
		if got := killAfter(t, c, dir, 0); got != (4-sound)*per {
			t.Errorf("cut to %d bytes: %d queries asked, want %d", end, got, (4-sound)*per)
		}
		same(t, dir, want, c.Train.Steps)
	}
}

// TestTailOfAnotherRate changes what steps are computed by while a tail is left: it
// is not used, and the run is the one that was changed at its checkpoint.
func TestTailOfAnotherRate(t *testing.T) {
	c := tiny()
	c.Estimator.Own = lr.LearnSigma.With(c.Estimator.Own, false)
	c.Optimizer.Schedule = "cosine"
	c.Train.Steps, c.Checkpoint.Every = 6, 3
	ends := map[bool]string{} // with a tail of two steps, and of one
	for _, tail := range []bool{true, false} {
		dir := t.TempDir()
		killAfter(t, c, dir, map[bool]int{true: 5, false: 4}[tail])
		longer := c
		longer.Train.Steps = 9
		killAfter(t, longer, dir, 0)
		ends[tail] = dir
	}
	same(t, ends[true], ends[false], 9)
}
