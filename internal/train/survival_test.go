package train

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/fsys/fault"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/runs"
)

const childDir = "FLOPS_TEST_RUN" // run folder of the trainer in a child process

// quiet watches nothing.
type quiet struct{ warned []string }

func (q *quiet) Begins(int)                         {}
func (q *quiet) Stepped(*runs.StepMetrics, float64) {}
func (q *quiet) Evaluated(int, string, *runs.Eval)  {}
func (q *quiet) Saved(int, string)                  {}
func (q *quiet) Warned(s string)                    { q.warned = append(q.warned, s) }

// tiny is an experiment of milliseconds that still has everything a
// checkpoint must carry: evaluations, epochs, a learned allocator and a scale.
func tiny() config.Config {
	c := config.Origin()
	c.Name = "tiny"
	c.Model.Arch = config.Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 8, Layers: 2, Heads: 2, MLP: 16}
	c.Data = config.Data{Kind: "shapes", Train: "train", Test: "test", OnBad: "refuse", EXIF: "turn", Count: 40, TestCount: 16, Size: 8, Augment: []string{"flip"}, Workers: 1}
	c.Sites.Blocks = "all"
	c.Estimator.Own = lr.LearnSigma.With(c.Estimator.Own, true)
	c.Budget.QueriesPerImage = 4
	c.Train.Steps, c.Train.BatchSize, c.Train.EvalEvery, c.Train.Threads, c.Train.Device = 24, 8, 6, 1, "cpu"
	c.Checkpoint.Every = 3
	return c
}

// methods are the experiments that must survive: every kind of state.
func methods() map[string]config.Config {
	out := map[string]config.Config{"activation": tiny()}
	c := tiny()
	c.Estimator.Name, c.Estimator.Own = "weight", lr.LearnSigma.With(c.Estimator.Own, false)
	out["weight"] = c
	c = tiny()
	c.Estimator.Name, c.Estimator.Own = "bp", lr.LearnSigma.With(c.Estimator.Own, false)
	out["bp"] = c
	c = tiny()
	c.Allocator.Name = "neyman"
	out["neyman"] = c
	c = tiny()
	c.Estimator.Antithetic, c.Allocator.Name, c.Allocator.MinQueries, c.Budget.QueriesPerImage = false, "uniform", 1, 1
	c.Estimator.Own = lr.LearnSigma.With(c.Estimator.Own, false)
	c.Estimator.Own = lr.Surrogate.With(lr.ExactOutput.With(c.Estimator.Own, true), "linear")
	out["surrogate"] = c
	c.Allocator.Name, c.Allocator.Scope, c.Allocator.Standardise, c.Budget.QueriesPerImage = "neyman", "both", true, 0.5
	out["drawn"] = c
	c.Allocator.Scope, c.Sites.Blocks = "image", "all"
	c.Sites.Kinds, c.Sites.Params = []string{"residual"}, []string{"norm"}
	c.Estimator.Own = lr.Kappa.With(lr.Surrogate.With(lr.FeedbackWarmup.With(c.Estimator.Own, 2), "local"), "auto")
	out["local"] = c
	c.Sites.Params, c.Sites.Train = nil, "lora"
	c.Sites.Own = parts.Targets.With(parts.Rank.With(c.Sites.Own, 2), []string{"query", "mlp_in"})
	out["lora"] = c
	inSpan := out["drawn"]
	inSpan.Sites.Train, inSpan.Sites.Params = "core", nil
	inSpan.Sites.Own = parts.CoreImages.With(c.Sites.Own, 11)
	out["core"] = inSpan
	c.Sites.Kinds, c.Sites.Train, c.Prompt.Kind, c.Prompt.Count, c.Prompt.Deep = nil, "prompt", "tokens", 2, true
	c.Estimator.Own = lr.Surrogate.With(c.Estimator.Own, "feedback")
	out["prompt"] = c
	c = out["surrogate"]
	c.Sites.Train = "bias"
	out["bias"] = c
	return out
}

// open builds an experiment and closes it with the test.
func open(t *testing.T, c config.Config) *Experiment {
	t.Helper()
	x, err := Open(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

// whole runs an experiment without a break.
func whole(t *testing.T, c config.Config) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := Run(context.Background(), open(t, c), RunOptions{Dir: dir, Watch: &quiet{}}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// same compares what two finished runs left, byte for byte; of the ledgers the
// queries and operations, since seconds are the clock's.
func same(t *testing.T, got, want string, steps int) {
	t.Helper()
	sameFiles(t, got, want, steps)
	a, b := ledgerOf(t, got), ledgerOf(t, want)
	for _, p := range runs.Purposes() {
		x, y := a.Of(p), b.Of(p)
		if x.Queries != y.Queries || x.FLOPs != y.FLOPs {
			t.Errorf("ledger, %s: %d queries and %d operations, uninterrupted %d and %d", p, x.Queries, x.FLOPs, y.Queries,
				y.FLOPs)
		}
	}
}

// sameFiles is same without the ledgers.
func sameFiles(t *testing.T, got, want string, steps int) {
	t.Helper()
	last := filepath.Join("checkpoints", fmt.Sprintf("step-%d", steps))
	for _, name := range []string{filepath.Join(last, "model.safetensors"), filepath.Join(last, "optimizer.safetensors"), "metrics.jsonl", "journal.bin", "summary.csv"} {
		a, err := os.ReadFile(filepath.Join(got, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(want, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs from that of the uninterrupted run", name)
		}
	}
}

func ledgerOf(t *testing.T, dir string) *runs.Ledger {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "ledger.json"))
	if err != nil {
		t.Fatal(err)
	}
	l := runs.NewLedger()
	if err := json.Unmarshal(raw, l); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestChild is the trainer that the kill test kills; on its own it does nothing.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("only run by TestKilled")
	}
	r, err := config.Load(filepath.Join(dir, "config.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	x := open(t, r.Config)
	fmt.Println("ready")
	if _, err := Run(context.Background(), x, RunOptions{Dir: dir, Resume: true, Watch: &quiet{}, Disk: fsys.OS}); err != nil {
		t.Fatal(err)
	}
}

// life runs the child until it ends or a random instant, whichever is first.
func life(t *testing.T, dir string, within time.Duration, rng *rand.Rand) (killed bool) {
	t.Helper()
	var stderr bytes.Buffer
	c := exec.Command(os.Args[0], "-test.run=^TestChild$")
	c.Env = append(os.Environ(), childDir+"="+dir)
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	buf := make([]byte, 512)
	n, _ := out.Read(buf) // "ready": from here on there is something to lose
	said.Write(buf[:n])
	timer := time.AfterFunc(time.Duration(rng.Int64N(int64(within))), func() { _ = c.Process.Kill() })
	_, _ = said.ReadFrom(out)
	err = c.Wait()
	timer.Stop()
	if err != nil && !bytes.Contains([]byte(err.Error()), []byte("killed")) {
		t.Fatalf("the child failed: %v\n%s%s", err, &said, &stderr)
	}
	return err != nil
}

const seedKey = "FLOPS_TEST_SEED" // gives a test's random instants back

// killSeed is the seed of the instants of a test that kills: the clock's, or the
// one that FLOPS_TEST_SEED names. It is printed, so that a failure can be had again.
func killSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(seedKey); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedKey, err)
		}
	}
	t.Logf("seed %d; %s=%d draws the same instants again", seed, seedKey, seed)
	return seed
}

// TestMain saves without waiting for the disk, here and in the trainers that are killed.
func TestMain(m *testing.M) {
	fault.Hurry()
	m.Run()
}

// TestKilled kills the trainer at random instants and resumes it until it is
// done, over and over, and wants what an uninterrupted run leaves. 20 kills of each
// method; 50 with FLOPS_TEST_FULL=1, with -short 4.
func TestKilled(t *testing.T) {
	kills := 20
	switch {
	case os.Getenv("FLOPS_TEST_FULL") != "":
		kills = 50
	case testing.Short():
		kills = 4
	}
	seed := killSeed(t)
	for i, name := range slices.Sorted(maps.Keys(methods())) {
		c, rng := methods()[name], rand.New(rand.NewPCG(seed, uint64(i)))
		t.Run(name, func(t *testing.T) {
			whole(t, c) // warms up
			began := time.Now()
			want := whole(t, c)
			within := max(time.Since(began), 20*time.Millisecond)
			yaml, err := config.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			done, runs := 0, 0
			for done < kills {
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, "config.yaml"), yaml, 0o644); err != nil {
					t.Fatal(err)
				}
				for {
					if done >= kills {
						within = time.Minute // let it end
					}
					if !life(t, dir, within, rng) {
						break
					}
					done++
				}
				runs++
				same(t, dir, want, c.Train.Steps)
				if t.Failed() {
					return
				}
			}
			t.Logf("%d kills in %d runs", done, runs)
		})
	}
}
