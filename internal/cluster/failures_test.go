package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/testkit"
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

// evaluates answers evaluations wrongly.
type evaluates struct{ query.Model }

// Unwrap is the model.
func (e evaluates) Unwrap() forward.Model { return e.Model }

// Evaluate implements query.Model.
func (e evaluates) Evaluate(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	c, err := e.Model.Evaluate(ctx, b)
	if err == nil {
		c.Logits[0]++
	}
	return c, err
}

// TestWrongWorker: a worker whose answers are wrong, all of them or some, is banned and
// told so, and the run ends as if it had not been there. One that lies rarely, of whose
// answers few are looked at, may get through a run as short as this: then another is tried.
func TestWrongWorker(t *testing.T) {
	t.Parallel()
	c := tiny()
	want := alone(t, c)
	for name, every := range map[string]int{"always": 1, "now and then": 20, "in evaluations": 0} {
		wrong := lies(every)
		if every == 0 {
			wrong = func(x *train.Experiment) { x.Model = evaluates{x.Model} }
		}
		t.Run(name, func(t *testing.T) {
			c := c
			// Of the one that lies rarely, the answers are looked at late, so that the run must
			// go back.
			c.Cluster.Work, c.Cluster.Verify = false, 0.2
			for try := range uint64(5) {
				p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{Images: 1, Seed: 3 + try})
				p.join(1, wrong)
				p.join(1, nil)
				p.run()
				stats := p.c.Status().Stats
				errs := p.end()
				if stats.Banned == 0 && every != 1 {
					continue
				}
				if stats.Banned != 1 || len(errs) != 1 || !strings.Contains(errs[0].Error(), "without this worker") {
					t.Errorf("%d were banned, told %v", stats.Banned, errs)
				}
				same(t, p.dir, want, c.Train.Steps)
				return
			}
			t.Error("it was never found")
		})
	}
}

// TestBanIsKept: a run that was killed after it had found a worker out, and before it had
// gone back, goes back when it goes on, and has that worker no more.
func TestBanIsKept(t *testing.T) {
	t.Parallel()
	c := tiny()
	want := alone(t, c)
	// a worker that was lost and came back would have a first answer again, which is a lie then
	c.Cluster.AckWait = "1m"
	c.Cluster.Work, c.Cluster.Verify = false, 0 // but for its first answer, which is right
	dir := filepath.Join(t.TempDir(), "run")
	p := begin(t, c, dir, Options{Images: 1})
	// A step has 96 calls. All answers of the first are right: until one is judged others may
	// come, which are checked too, and a lie among them has the only worker banned there.
	p.join(1, lies(200))
	_, err := train.Run(context.Background(), p.x, train.RunOptions{Dir: dir, Watch: p.c.Watch(p.watch), Taken: p.c.Taken,
		Each: p.c.Each, Stop: func() bool { return p.c.taken == 7 }})
	testkit.Must(t, err)
	var id uint64
	p.c.mu.Lock() // the worker asks for more
	for id = range p.c.first {
		testkit.Must(t, p.c.jot(answered{Step: 6, Banned: id}))
	}
	p.c.mu.Unlock()
	testkit.Must(t, p.c.Close(false))
	p.stop()
	p.wg.Wait()
	p.x.Close()
	p = begin(t, c, dir, Options{})
	p.join(1, nil)
	p.run()
	p.end()
	same(t, dir, want, c.Train.Steps)
	if why := p.c.banned[id]; id == 0 || why == "" {
		t.Errorf("worker %d is not banned", id)
	}
	if said := strings.Join(p.watch.warned, "\n"); !strings.Contains(said, "back to step 0") {
		t.Errorf("the run did not go back: %q", said)
	}
	again := &Coordinator{host: host{o: Options{Dir: dir}}, banned: map[uint64]string{}, first: map[uint64]int{}}
	testkit.Must(t, again.openAnswers())
	if again.owed != nil {
		t.Errorf("it would go back once more: %v", again.owed)
	}
	testkit.Must(t, again.answers.Close())
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

// changed is a config with keys set as by --set.
func changed(t *testing.T, c config.Config, sets ...string) config.Config {
	t.Helper()
	text, err := config.Marshal(c)
	testkit.Must(t, err)
	path := filepath.Join(t.TempDir(), "x.yaml")
	testkit.Must(t, os.WriteFile(path, text, 0o600))
	r, err := config.Load(path, sets)
	testkit.Must(t, err)
	return r.Config
}

// methods are settings of what makes a step, by what they are.
func methods() map[string][]string {
	m := map[string][]string{
		"weight":                      {"estimator.name=weight"},
		"weight tensor":               {"estimator.name=weight", "estimator.schedule=tensor"},
		"weights of norms and tokens": {"estimator.name=weight", "sites.params=[norm, cls_token, position]"},
		"joint":                       {"estimator.schedule=joint"},
		"random site":                 {"estimator.schedule=random_site"},
		"pairs":                       {"estimator.antithetic=true", "allocator.min_queries=2"},
		"bp":                          {"estimator.name=bp"},
		"norms":                       {"sites.params=[norm, position]"},
		"average":                     {"optimizer.ema=0.9"},
		"no surrogate":                {"estimator.surrogate=none", "estimator.exact_output=false"},
		"local":                       {"estimator.surrogate=local", "estimator.kappa=auto", "sites.kinds=[residual]"},
		"drawn":                       {"budget.queries_per_image=0.5"},
		"by operations":               {"budget.unit=operations", "allocator.scope=both"},
		"by site":                     {"allocator.scope=site"},
		"by both":                     {"allocator.scope=both"},
		"signs":                       {"estimator.noise=rademacher"},
		"bf16":                        {"train.precision=bf16"},
		"bf16, few queries":           {"train.precision=bf16", "sites.blocks=all", "sites.params=[]"},
		"bf16, differences": {"train.precision=bf16", "sites.blocks=all", "sites.params=[]",
			"budget.queries_per_image=8", "model.arch.hidden=96", "model.arch.mlp=96"},
		"sobol":             {"estimator.qmc=sobol"},
		"learned scale":     {"estimator.learn_sigma=true", "estimator.surrogate=none"},
		"tokens":            {"prompt.kind=tokens", "prompt.count=2"},
		"biases":            {"sites.train=bias", "sites.params=[]"},
		"norms by feedback": {"sites.train=norm", "sites.params=[]", "estimator.surrogate=feedback"},
		"cores":             {"sites.train=core", "sites.params=[]", "sites.rank=2", "optimizer.ema=0.9"},
		"adapters":          {"sites.train=lora", "sites.params=[]", "sites.rank=2", "optimizer.ema=0.9"},
	}
	for _, name := range allocator.Names() {
		m["allocator "+name] = []string{"allocator.name=" + name}
	}
	return m
}

// TestMethods: every estimator, schedule, surrogate and allocator, with a worker, is what it
// is alone.
func TestMethods(t *testing.T) {
	for name, sets := range methods() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := tiny()
			c.Train.Steps = 4
			c = changed(t, c, sets...)
			want := alone(t, c)
			c.Cluster.Work = c.Estimator.Name == "bp" // which asks nothing
			p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
			p.join(1, nil)
			p.want = 1
			p.run()
			stats := p.c.Status().Stats
			for _, e := range p.end() {
				t.Error(e)
			}
			same(t, p.dir, want, c.Train.Steps)
			if stats.Queries == 0 && !c.Cluster.Work {
				t.Error("the worker answered nothing")
			}
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
	good := hello{Protocol: version, ID: 1, Canary: train.Canary(), Data: p.c.env.Data,
		Member: Member{Device: p.c.env.Device}}
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
	limit := 2.0
	if os.Getenv("FLOPS_TEST_FULL") != "" { // on a machine that has nothing else to do
		limit = 1.25
	}
	if with.Seconds() > limit*without.Seconds() {
		t.Errorf("%.2f times as long", with.Seconds()/without.Seconds())
	}
}
