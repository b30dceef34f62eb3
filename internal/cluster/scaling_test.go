package cluster

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/train"
)

// device is a simulated one: a pass and a query take their operations over its speed.
type device struct {
	query.Model
	speed float64 // operations a second
}

func (d device) wait(began time.Time, operations float64) {
	time.Sleep(time.Until(began.Add(time.Duration(operations / d.speed * 1e9))))
}

// Clean implements query.Model.
func (d device) Clean(ctx context.Context, b *forward.Batch, sites []int) (forward.Pass, error) {
	began := time.Now()
	p, err := d.Model.Clean(ctx, b, sites)
	d.wait(began, float64(int64(b.Size)*d.ForwardFLOPs()))
	return p, err
}

// Unwrap is the model that computes.
func (d device) Unwrap() forward.Model { return d.Model }

// devicePass is a pass of it.
type devicePass struct {
	forward.Pass
	d device
}

func (p devicePass) Losses(ctx context.Context, per *forward.Perturbation, q []forward.Query, out []float32) error {
	began := time.Now()
	err := p.Pass.Losses(ctx, per, q, out)
	p.d.wait(began, float64(forward.QueryFLOPs(p.d.Model, *per)*int64(len(q))))
	return err
}

func simulated(speed float64) func(*train.Experiment) {
	return func(x *train.Experiment) {
		d := device{x.Model, speed}
		x.Model = query.AnsweredBy(d, func(_ *forward.Batch, p forward.Pass) forward.Evaluator {
			return devicePass{p, d}
		})
	}
}

// measured is the time of the steps after the first with so many workers, and how many
// times as fast as alone the run said that it would be.
func measured(t *testing.T, c config.Config, workers int, speed float64) (seconds, foreseen float64) {
	t.Helper()
	p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{}, simulated(speed))
	for range workers {
		p.join(1, simulated(speed))
	}
	p.want = workers
	p.run()
	seconds = time.Since(p.first).Seconds()
	foreseen = p.c.Gain(workers, false)
	p.end()
	return seconds, foreseen
}

// TestScaling: on a device that takes its time by operations, workers divide it as was
// foreseen: where every block is trained, and where the clean pass is a good part of a
// step. FLOPS_TEST_FULL=1 takes longer, and holds the figures to what they should be on an
// idle machine.
func TestScaling(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	full := os.Getenv("FLOPS_TEST_FULL") != ""
	// It has to share the machine with other tests, which make it slower than it was foreseen.
	workers, trained, seconds, off := []int{4}, []string{"all"}, 2.0, math.Inf(1)
	least := map[int]float64{4: 1.5, 8: 6.5}
	if full {
		workers, trained, seconds, off = []int{4, 8}, []string{"all", "last-3"}, 16.0, 0.1
		least[4] = 3.6
	}
	for _, blocks := range trained {
		c := tiny()
		c.Model.Arch.Layers, c.Sites.Blocks = 12, blocks
		if c.Train.Steps, c.Train.EvalEvery, c.Train.BatchSize = 2, 0, 8; full {
			c.Train.Steps = 3
		}
		c.Cluster.Work, c.Cluster.Verify, c.Cluster.Task = false, 0, "50ms"
		x, err := train.Open(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		speed := float64(x.StepCost(0).FLOPs) / seconds // a step of one takes so long
		x.Close()
		one, _ := measured(t, c, 1, speed)
		for _, n := range workers {
			took, foreseen := measured(t, c, n, speed)
			gain := one / took
			t.Logf("blocks %s: %.2f s with one worker, %.2f s with %d: %.2f times as fast, %.2f foreseen", blocks, one,
				took, n, gain, foreseen)
			if math.Abs(gain/foreseen-1) > off {
				t.Errorf("%s, %d workers: %.2f times as fast, %.2f were foreseen", blocks, n, gain, foreseen)
			}
			if blocks == "all" && gain < least[n] {
				t.Errorf("%d workers: %.2f times as fast, less than %.1f", n, gain, least[n])
			}
		}
	}
}
