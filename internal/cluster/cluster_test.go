package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/train"
)

// quiet watches nothing.
type quiet struct {
	mu     sync.Mutex
	warned []string
}

func (q *quiet) Begins(int)                         {}
func (q *quiet) Saved(int, string)                  {}
func (q *quiet) Stepped(*runs.StepMetrics, float64) {}
func (q *quiet) Evaluated(int, string, *runs.Eval)  {}

// Warned is called by the run and by what answers its workers.
func (q *quiet) Warned(s string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.warned = append(q.warned, s)
}

// tiny is an experiment of milliseconds with all that a worker must follow: epochs,
// evaluations, a learned allocator.
func tiny() config.Config {
	c := config.Default()
	c.Name = "tiny"
	c.Model.Arch = config.Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 8, Layers: 2, Heads: 2, MLP: 16}
	c.Data.Kind, c.Data.Count, c.Data.TestCount, c.Data.Size = "shapes", 40, 16, 8
	c.Data.Augment = []string{"flip"}
	c.Sites.Blocks, c.Budget.QueriesPerImage = "all", 4
	c.Train.Steps, c.Train.BatchSize, c.Train.EvalEvery, c.Train.Threads, c.Train.Device = 8, 8, 4, 1, "cpu"
	c.Checkpoint.Every = 3
	c.Cluster.NATS, c.Cluster.Listen, c.Cluster.AckWait, c.Cluster.Verify = Embedded, "127.0.0.1:0", "1s", 0.1
	return c
}

// alone is the run folder of an experiment without a cluster.
func alone(t *testing.T, c config.Config) string {
	t.Helper()
	c.Cluster = config.Default().Cluster
	x, err := train.Open(c, nil)
	testkit.Must(t, err)
	defer x.Close()
	dir := t.TempDir()
	_, err = train.Run(context.Background(), x, train.RunOptions{Dir: dir, Watch: &quiet{}})
	testkit.Must(t, err)
	return dir
}

// same compares what two runs left, byte for byte.
func same(t *testing.T, got, want string, steps int) {
	t.Helper()
	last := filepath.Join("checkpoints", fmt.Sprintf("step-%d", steps))
	for _, name := range []string{filepath.Join(last, "model.safetensors"), filepath.Join(last, "optimizer.safetensors"),
		"metrics.jsonl", "journal.bin", "summary.csv"} {
		a, err := os.ReadFile(filepath.Join(got, name))
		testkit.Must(t, err)
		b, err := os.ReadFile(filepath.Join(want, name))
		testkit.Must(t, err)
		if !bytes.Equal(a, b) {
			t.Errorf("%s is not that of the run alone", name)
		}
	}
	a, _, err := runs.LastState(got)
	testkit.Must(t, err)
	b, _, err := runs.LastState(want)
	testkit.Must(t, err)
	for _, p := range runs.Purposes() {
		if x, y := a.Ledger.Of(p), b.Ledger.Of(p); x.Queries != y.Queries || x.FLOPs != y.FLOPs {
			t.Errorf("ledger, %s: %d queries and %d operations, alone %d and %d", p, x.Queries, x.FLOPs, y.Queries, y.FLOPs)
		}
	}
}

// party is a run with workers in this process.
type party struct {
	t     *testing.T
	c     *Coordinator
	x     *train.Experiment
	watch *quiet
	dir   string
	stop  context.CancelFunc
	ctx   context.Context
	wg    sync.WaitGroup
	errs  chan error
	want  int       // workers that the second step waits for
	first time.Time // when the first step was over
	each  func(*train.Trainer)
	dial  Dial // of workers that join; without a URL the run's
	sets  []string
	step  int // of the run's end
}

// begin opens a run to others; wrap changes the coordinator's experiment.
func begin(t *testing.T, cfg config.Config, dir string, o Options, wrap ...func(*train.Experiment)) *party {
	t.Helper()
	x, err := train.Open(cfg, nil)
	testkit.Must(t, err)
	o.Dir, o.Run = dir, Name(dir)
	w := &quiet{}
	o.Warn = w.Warned
	for _, f := range wrap {
		f(x)
	}
	c, err := New(x, o)
	testkit.Must(t, err)
	testkit.Must(t, os.MkdirAll(dir, 0o755))
	testkit.Must(t, c.Serve())
	p := &party{t: t, c: c, x: x, watch: w, dir: dir, errs: make(chan error, 64)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// join adds a worker; wrap, where it is not nil, changes its experiment.
func (p *party) join(threads int, wrap func(*train.Experiment)) { p.work(p.ctx, threads, wrap) }

// joinFor adds a worker that vanishes a while after it has joined.
func (p *party) joinFor(d time.Duration, wrap func(*train.Experiment)) {
	ctx, stop := context.WithCancel(p.ctx)
	p.work(ctx, 1, wrap)
	go func() {
		p.await(1)
		time.Sleep(d)
		stop()
	}()
}

func (p *party) work(ctx context.Context, threads int, wrap func(*train.Experiment)) {
	d := p.dial
	if d.URL == "" {
		d.URL = p.c.URL()
	}
	w, err := NewWorker(WorkerOptions{Dial: d, Run: p.c.Run(), Sets: p.sets, Log: func(s string) { p.t.Log(s) },
		Local: func(c *config.Config) { c.Train.Threads, c.Train.Device = threads, "cpu" },
		Open: func(c config.Config, warn func(string)) (*train.Experiment, error) {
			x, err := train.Open(c, warn)
			if err == nil && wrap != nil {
				wrap(x)
			}
			return x, err
		}})
	testkit.Must(p.t, err)
	p.wg.Go(func() {
		defer w.Close()
		if err := w.Work(ctx); err != nil && ctx.Err() == nil {
			p.errs <- err
		}
	})
}

// run trains to the end.
func (p *party) run() {
	p.t.Helper()
	_, err := os.Stat(filepath.Join(p.dir, "checkpoints"))
	out, err := train.Run(context.Background(), p.x, train.RunOptions{Dir: p.dir, Resume: err == nil,
		Watch: p.c.Watch(p.watch), Taken: p.c.Taken, Each: func(tr *train.Trainer) error {
			if p.first.IsZero() {
				p.await(p.want)
				p.first = time.Now()
			}
			if p.each != nil {
				p.each(tr)
			}
			return p.c.Each(tr)
		}})
	testkit.Must(p.t, err)
	p.step = out.Step
}

// end closes everything and returns what the workers came to.
func (p *party) end() (errs []error) {
	testkit.Must(p.t, p.c.Close(true))
	done := make(chan struct{})
	go func() { p.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		p.stop()
		<-done
	}
	p.stop()
	p.x.Close()
	close(p.errs)
	for e := range p.errs {
		errs = append(errs, e)
	}
	return errs
}

// await waits until so many workers take part.
func (p *party) await(n int) {
	p.t.Helper()
	for range 400 {
		p.c.mu.Lock()
		have := len(p.c.workers)
		p.c.mu.Unlock()
		if have >= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Errorf("%d workers did not join", n)
}

// TestExact: any number of workers and any size of tasks give the files of the run
// alone.
func TestExact(t *testing.T) {
	t.Parallel()
	c := tiny()
	want := alone(t, c)
	for _, v := range []struct{ workers, images int }{{0, 0}, {1, 1}, {2, 2}, {4, 0}, {2, 8}, {8, 1}, {8, 8}} {
		began := time.Now()
		c.Cluster.Work = v.workers == 0 // else it would have done all before they are there
		p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{Images: v.images})
		for i := range v.workers {
			p.join(1+i%2, nil)
		}
		p.run()
		stats := p.c.Status().Stats
		for _, e := range p.end() {
			t.Error(e)
		}
		same(t, p.dir, want, c.Train.Steps)
		st, err := os.Stat(filepath.Join(p.dir, "journal.bin"))
		testkit.Must(t, err)
		most := 4*(stats.Queries+stats.Wasted) + int64(v.workers)*st.Size() + 1024*stats.Tasks
		t.Logf("%d workers, %d images a task: %v, %d bytes of at most %d, %+v", v.workers, v.images, time.Since(began),
			stats.Up+stats.Down, most, stats)
		if v.workers > 0 && stats.Up+stats.Down > most {
			t.Errorf("%d bytes up and %d down, at most %d were expected", stats.Up, stats.Down, most)
		}
		if v.workers > 0 && stats.Queries == 0 {
			t.Error("no worker answered anything")
		}
	}
}
