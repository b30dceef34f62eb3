package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/train"
)

// liar answers wrongly, every so many calls.
type liar struct {
	forward.Pass
	every int
	calls *int
}

func (l liar) Losses(ctx context.Context, p *forward.Perturbation, q []forward.Query, out []float32) error {
	err := l.Pass.Losses(ctx, p, q, out)
	if *l.calls++; *l.calls%l.every == 0 {
		out[0] += 0.01
	}
	return err
}

// lies has a worker's experiment answer wrongly.
func lies(every int) func(*train.Experiment) {
	calls := 0
	return func(x *train.Experiment) {
		x.Model = query.AnsweredBy(x.Model, func(_ *forward.Batch, p forward.Pass) forward.Evaluator {
			return liar{p, every, &calls}
		})
	}
}

// TestWrongWorker: a worker whose answers are wrong, all of them or some, is banned and
// told so, and the run ends as if it had not been there.
func TestWrongWorker(t *testing.T) {
	t.Parallel()
	c := tiny()
	want := alone(t, c)
	for name, every := range map[string]int{"always": 1, "now and then": 20} {
		t.Run(name, func(t *testing.T) {
			c := c
			// Every answer of the one that lies rarely is looked at late, so that the run must
			// go back.
			c.Cluster.Work, c.Cluster.Verify = false, 0.2
			p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{Images: 1, Seed: 3})
			p.join(1, lies(every))
			p.join(1, nil)
			p.run()
			stats := p.c.Status().Stats
			errs := p.end()
			if stats.Banned != 1 || len(errs) != 1 || !strings.Contains(errs[0].Error(), "without this worker") {
				t.Errorf("%d were banned, told %v", stats.Banned, errs)
			}
			if every > 1 && !strings.Contains(strings.Join(p.watch.warned, "\n"), "back to step") {
				t.Logf("the run did not go back: %q", p.watch.warned)
			}
			same(t, p.dir, want, c.Train.Steps)
		})
	}
}

// slow answers late.
type slow struct {
	forward.Pass
	each time.Duration // of one query
}

func (s slow) Losses(ctx context.Context, p *forward.Perturbation, q []forward.Query, out []float32) error {
	time.Sleep(time.Duration(len(q)) * s.each)
	return s.Pass.Losses(ctx, p, q, out)
}

// slowed has an experiment's queries take some time.
func slowed(each time.Duration) func(*train.Experiment) {
	return func(x *train.Experiment) {
		x.Model = query.AnsweredBy(x.Model, func(_ *forward.Batch, p forward.Pass) forward.Evaluator {
			return slow{p, each}
		})
	}
}

// TestVanish: workers that come and go, one of them in the middle of a task that it will
// never answer, leave the run as it is.
func TestVanish(t *testing.T) {
	t.Parallel()
	c := tiny()
	want := alone(t, c)
	c.Cluster.Work, c.Cluster.AckWait = false, "300ms"
	p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
	p.joinFor(100*time.Millisecond, slowed(50*time.Millisecond))
	p.join(1, nil)
	p.run()
	p.end()
	same(t, p.dir, want, c.Train.Steps)
}

// TestMethods: every estimator and schedule, with workers, is what it is alone.
func TestMethods(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"weight":        func(c *config.Config) { c.Estimator.Name = "weight" },
		"weight tensor": func(c *config.Config) { c.Estimator.Name, c.Estimator.Schedule = "weight", "tensor" },
		"joint":         func(c *config.Config) { c.Estimator.Schedule = "joint" },
		"random site":   func(c *config.Config) { c.Estimator.Schedule = "random_site" },
		"one-sided":     func(c *config.Config) { c.Estimator.Antithetic, c.Allocator.MinQueries = false, 1 },
		"bp":            func(c *config.Config) { c.Estimator.Name = "bp" },
		"neyman":        func(c *config.Config) { c.Allocator.Name = "neyman" },
		"norms":         func(c *config.Config) { c.Sites.Params = []string{"norm", "position"} },
		"average":       func(c *config.Config) { c.Optimizer.EMA = 0.9 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := tiny()
			c.Train.Steps = 5
			change(&c)
			want := alone(t, c)
			c.Cluster.Work = c.Estimator.Name == "bp" // which asks nothing
			p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
			p.join(1, nil)
			p.want = 1
			p.run()
			for _, e := range p.end() {
				t.Error(e)
			}
			same(t, p.dir, want, c.Train.Steps)
		})
	}
}

// TestRefused: other arithmetic and other data are refused at the door, by what is other
// and what to do.
func TestRefused(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Train.Steps = 1
	p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
	good := hello{Protocol: version, ID: 1, Canary: canary(), Data: p.c.env.Data, Member: Member{Device: p.c.env.Device}}
	if w, no := p.c.refuse(&good); no {
		t.Errorf("refused: %s", w.What)
	}
	other := good
	other.Canary, other.Kernel = "0", "portable"
	if w, no := p.c.refuse(&other); !no || !strings.Contains(w.What, "portable") ||
		!strings.Contains(w.Hint, "FLOPS_KERNEL=") {
		t.Errorf("other arithmetic: %+v", w)
	}
	p.c.c.Numerics = "journal"
	if w, no := p.c.refuse(&other); no {
		t.Errorf("numerics: journal refuses: %s", w.What)
	}
	other = good
	other.Data = nil
	if w, no := p.c.refuse(&other); !no || !strings.Contains(w.What, "data") {
		t.Errorf("other data: %+v", w)
	}
	p.run()
	p.end()
}

// TestStraggler: a worker 20 times slower than another does not make the run slower than
// a quarter.
func TestStraggler(t *testing.T) {
	c := tiny()
	c.Train.Steps, c.Train.EvalEvery = 6, 0
	c.Cluster.Work, c.Cluster.Task = false, "20ms"
	took := func(stragglers int) time.Duration {
		p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
		for range 2 {
			p.join(1, slowed(time.Millisecond))
		}
		for range stragglers {
			p.join(1, slowed(20*time.Millisecond))
		}
		p.want = 2 + stragglers
		p.run()
		d := time.Since(p.first)
		p.end()
		return d
	}
	without, with := took(0), took(1)
	t.Logf("%v without the straggler, %v with it, %.2f times", without, with, with.Seconds()/without.Seconds())
	if limit := 2.0; with.Seconds() > limit*without.Seconds() { // 1.25 on an idle machine
		t.Errorf("%.2f times as long", with.Seconds()/without.Seconds())
	}
}

// TestScaling: on a device that takes its time by operations, workers divide it.
func TestScaling(t *testing.T) {
	if os.Getenv("FLOPS_TEST_FULL") == "" {
		t.Skip("measures time for a minute; FLOPS_TEST_FULL=1 does so")
	}
	c := tiny()
	c.Model.Arch.Layers, c.Train.Steps, c.Train.EvalEvery, c.Train.BatchSize = 12, 3, 0, 16
	c.Cluster.Work, c.Cluster.Verify, c.Cluster.Task = false, 0, "20ms"
	seconds := map[int]float64{}
	for _, n := range []int{1, 4, 8} {
		p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
		for range n {
			p.join(1, simulated(2e7))
		}
		p.want = n
		p.run()
		seconds[n] = time.Since(p.first).Seconds()
		p.end()
	}
	t.Logf("steps 2 to %d: %.2f s, 4 workers %.2f times as fast, 8 workers %.2f times", c.Train.Steps, seconds[1],
		seconds[1]/seconds[4], seconds[1]/seconds[8])
	if seconds[1]/seconds[4] < 3.6 || seconds[1]/seconds[8] < 6.5 {
		t.Error("that is less than 3.6 times and 6.5 times")
	}
}

// device is a simulated one: a query takes its operations over its speed.
type device struct {
	forward.Pass
	m     query.Model
	speed float64 // operations a second
}

func (d device) Losses(ctx context.Context, p *forward.Perturbation, q []forward.Query, out []float32) error {
	end := time.Now().Add(time.Duration(float64(forward.QueryFLOPs(d.m, *p)) * float64(len(q)) / d.speed * 1e9))
	err := d.Pass.Losses(ctx, p, q, out)
	time.Sleep(time.Until(end))
	return err
}

func simulated(speed float64) func(*train.Experiment) {
	return func(x *train.Experiment) {
		m := x.Model
		x.Model = query.AnsweredBy(m, func(_ *forward.Batch, p forward.Pass) forward.Evaluator {
			return device{p, m, speed}
		})
	}
}
