package train

import (
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
)

// few is a run in bf16 of so few queries an image that none multiplies differences.
func few() config.Config {
	c := tiny()
	c.Model.Arch.Hidden, c.Model.Arch.MLP, c.Train.Precision = 64, 128, "bf16"
	c.Estimator.Antithetic, c.Allocator.Name, c.Allocator.MinQueries, c.Budget.QueriesPerImage = false, "uniform", 1, 1
	c.Estimator.Own = lr.Surrogate.With(lr.LearnSigma.With(c.Estimator.Own, false), "none")
	c.Train.Steps, c.Train.EvalEvery, c.Checkpoint.Every = 4, 0, 2
	return c
}

// broke is a run that stopped in its middle, of bf16 by differences where it is of an older
// version, which notes nothing of that.
func broke(t *testing.T, c config.Config, old bool) (dir string) {
	t.Helper()
	dir = t.TempDir()
	x := open(t, c)
	if x.form() != byValues {
		t.Fatalf("the run is of bf16 by %q", x.form())
	}
	if old {
		sites, params := x.disturbed()
		if r := x.halver().Halve(sites, params, 1e9); !r.Differences {
			t.Fatalf("many queries an image are no reason for differences: %+v", r)
		}
	}
	env := x.Describe("test")
	if old {
		env.BF16 = ""
	}
	if err := x.WriteConfig(dir); err != nil {
		t.Fatal(err)
	}
	if err := runs.WriteEnv(fsys.OS, dir, env); err != nil {
		t.Fatal(err)
	}
	n := 0
	_, err := Run(t.Context(), x, RunOptions{Dir: dir, Watch: &quiet{}, Stop: func() bool { n++; return n > 2 }})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestFormOfOlderRuns: a run in bf16 of an older version goes on with a line that says
// what is different, and is not replayed as another; one of this version is both, and
// says nothing; and one that noted another form is refused by both.
func TestFormOfOlderRuns(t *testing.T) {
	c := few()
	for _, old := range []bool{false, true} {
		dir := broke(t, c, old)
		x := open(t, c)
		var warned []string
		x.Warn = func(line string) { warned = append(warned, line) }
		_, err := Replay(t.Context(), x, dir, 2)
		if e, ok := uierr.As(err); old != ok || old && !strings.Contains(e.What, "bf16") || !old && err != nil {
			t.Errorf("older %v: the replay says %v", old, err)
		}
		if err := goOn(t, dir, c, func(line string) { warned = append(warned, line) }); err != nil {
			t.Fatal(err)
		}
		if said := len(warned) == 1 && strings.Contains(warned[0], "bf16"); said != old || !old && len(warned) > 0 {
			t.Errorf("older %v: told %q", old, warned)
		}
		env, err := runs.ReadEnv(dir)
		if err != nil || (len(env.Changes) > 0) != old {
			t.Errorf("older %v: env.json notes %v, %v", old, env.Changes, err)
		}
	}
	dir := broke(t, c, false)
	env, err := runs.ReadEnv(dir)
	if err != nil {
		t.Fatal(err)
	}
	env.BF16 = byDifferences
	if err := runs.WriteEnv(fsys.OS, dir, *env); err != nil {
		t.Fatal(err)
	}
	_, err = Replay(t.Context(), open(t, c), dir, 2)
	for _, err := range []error{err, goOn(t, dir, c, nil)} {
		if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, byDifferences) {
			t.Errorf("a run of another form: %v", err)
		}
	}
}

// TestReplayTellsOfAnotherLoss: in float32 the weights of another loss are made, and told.
func TestReplayTellsOfAnotherLoss(t *testing.T) {
	c := few()
	c.Train.Precision = "fp32"
	dir := broken(t, c, 2)
	l := loggedLosses(dir)
	if len(l.of) != 4 {
		t.Fatalf("%d losses were logged", len(l.of))
	}
	l.of[1]++
	x := open(t, c)
	var warned []string
	x.Warn = func(line string) { warned = append(warned, line) }
	r, err := Replay(t.Context(), x, dir, 1)
	if err != nil || len(warned) > 0 {
		t.Fatal(err, warned)
	}
	if err := l.agree(r); err != nil || len(warned) != 1 {
		t.Errorf("another loss: %v, told %q", err, warned)
	}
}
