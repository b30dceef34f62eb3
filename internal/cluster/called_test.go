package cluster

import (
	"context"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/uierr"
)

// oracle answers with fixed functions of an image's pixels, and takes its time for each.
type oracle struct {
	each     time.Duration
	answered atomic.Int64
	mu       sync.Mutex // one at a time
}

func (o *oracle) Spec() oip.Spec {
	return oip.Spec{Name: "oracle", Channels: 3, Height: 8, Width: 8, Classes: 4}
}

func (o *oracle) Logits(_ context.Context, images []float32, n int) ([]float32, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	time.Sleep(time.Duration(n) * o.each)
	out := make([]float32, 4*n)
	for i := range n {
		for j, v := range images[i*192 : (i+1)*192] {
			out[4*i+j%4] += v * float32(math.Sin(float64(j))) / 8
		}
	}
	o.answered.Add(int64(n))
	return out, nil
}

// serve answers until the test ends.
func (o *oracle) serve(t *testing.T) (url string) {
	t.Helper()
	h, err := oip.NewHandler(o)
	testkit.Must(t, err)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// calling is a run in front of a model that is called.
func calling(url string) config.Config {
	c := tiny()
	c.Model.Kind, c.Model.URL, c.Model.Name, c.Model.MaxBatch, c.Model.InFlight = "remote", url, "oracle", 1, 1
	c.Prompt.Kind, c.Prompt.Width, c.Prompt.Mapping.Kind, c.Prompt.Mapping.Images = "frame", 2, "learned", 2
	c.Sites = config.Sites{Blocks: "none"}
	c.Estimator.Name, c.Estimator.Sigma, c.Allocator.Name = "weight", 0.05, "neyman"
	c.Allocator.Own["features"], c.Optimizer.EMA = "loss", 0.9
	c.Data.Augment = nil
	c.Train.EvalEvery = 4
	return c
}

// TestCalled: a model that is only called is asked by every machine, for clean passes,
// queries and evaluations; the budget is not passed, and the ledger is what the servers
// have answered, less what was asked for in vain. FLOPS_TEST_FULL=1 has it wait 20 ms an
// answer, and looks at the time.
func TestCalled(t *testing.T) {
	full := os.Getenv("FLOPS_TEST_FULL") != ""
	if !full {
		t.Parallel()
	}
	each := time.Millisecond
	if full {
		each = 20 * time.Millisecond
	}
	c := calling((&oracle{}).serve(t))
	c.Budget.MaxQueries = 400
	if full {
		c.Train.BatchSize = 16
	}
	want := alone(t, c)
	took := func(workers int) time.Duration {
		home := &oracle{each: each}
		c := c
		c.Model.URL, c.Cluster.Work = home.serve(t), false
		p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
		all := []*oracle{home}
		for range workers {
			o := &oracle{each: each}
			all = append(all, o)
			p.sets = []string{"model.url=" + o.serve(t), "model.in_flight=1"}
			p.join(1, nil)
		}
		p.want = workers
		p.run()
		d := time.Since(p.first)
		stats := p.c.Status().Stats
		for _, e := range p.end() {
			t.Error(e)
		}
		same(t, p.dir, want, p.step)
		answered := int64(0)
		for _, o := range all {
			answered += o.answered.Load()
		}
		spent := p.x.Called().Pool().Counts()
		if answered < spent.Images || answered > spent.Images+spent.Retried || spent.Images > c.Budget.MaxQueries {
			t.Errorf("%d were answered, of %+v", answered, spent)
		}
		if home.answered.Load() > 40 { // what learning the mapping asks, and the best checkpoint's evaluation
			t.Errorf("the coordinator asked for %d itself", home.answered.Load())
		}
		t.Logf("%d workers: %v, %d answered, %+v, %+v", workers, d, answered, spent, stats)
		return d
	}
	one, four := took(1), took(4)
	t.Logf("%v with one worker, %v with four: %.2f times as fast", one, four, one.Seconds()/four.Seconds())
	if full && one.Seconds() < 3.8*four.Seconds() {
		t.Error("that is less than 3.8 times")
	}
}

// TestCalledVanish: a worker that goes in the middle of what it asks leaves the run as it is,
// and what it had asked for is counted as asked for in vain.
func TestCalledVanish(t *testing.T) {
	t.Parallel()
	c := calling((&oracle{}).serve(t))
	want := alone(t, c)
	home, there := &oracle{}, &oracle{each: 20 * time.Millisecond}
	c.Model.URL, c.Model.InFlight, c.Model.MaxBatch = home.serve(t), 2, 4
	c.Cluster.AckWait = "300ms"
	p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
	p.sets = []string{"model.url=" + there.serve(t), "model.in_flight=2"}
	p.want = 1
	p.joinFor(150*time.Millisecond, nil)
	p.run()
	spent := p.x.Called().Pool().Counts()
	stats := p.c.Status().Stats
	p.end()
	same(t, p.dir, want, c.Train.Steps)
	answered := home.answered.Load() + there.answered.Load()
	if answered < spent.Images || answered > spent.Images+spent.Retried {
		t.Errorf("%d were answered, of %+v", answered, spent)
	}
	t.Logf("%d answered, %+v, %+v", answered, spent, stats)
}

// TestOwn: what is a machine's own to say comes from nowhere else.
func TestOwn(t *testing.T) {
	c := tiny()
	c.Model.URL, c.Model.Argv = "http://elsewhere", []string{"remove-all"}
	c.Model.TokenFile, c.Data.Path = "/etc/passwd", "/etc"
	c.Model.InFlight, c.Train.CacheDir, c.Model.Path = 98, "/var", "/srv"
	c = changed(t, c, "objective.embeddings=/etc/x.npy")
	whole, err := config.Marshal(c)
	testkit.Must(t, err)
	less, err := config.Marshal(stripped(c))
	testkit.Must(t, err)
	for _, text := range []string{string(whole), string(less)} { // whatever comes
		got, err := received(filepath.Join(t.TempDir(), "x.yaml"), text, []string{"model.in_flight=3"})
		testkit.Must(t, err)
		out, err := config.Marshal(got)
		testkit.Must(t, err)
		for _, s := range []string{"elsewhere", "remove-all", "/etc", "/var", "/srv", "98", "embedded"} {
			if strings.Contains(string(out), s) {
				t.Errorf("%q came over the network:\n%s", s, out)
			}
		}
		if got.Model.InFlight != 3 || got.Train.Steps != c.Train.Steps {
			t.Errorf("%d at once, %d steps", got.Model.InFlight, got.Train.Steps)
		}
	}
	path := filepath.Join(t.TempDir(), "other.yaml")
	testkit.Must(t, os.WriteFile(path, []byte("train: {steps: 3}\n"), 0o600))
	if _, err := received(filepath.Join(t.TempDir(), "x.yaml"), "extends: "+path+"\n", nil); !uierr.IsMistake(err) {
		t.Errorf("a path was followed: %v", err)
	}
	if err := CheckSets([]string{"model.url=x", "train.steps=3"}); !uierr.IsMistake(err) {
		t.Errorf("a worker sets the steps: %v", err)
	}
}
