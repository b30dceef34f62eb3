package train

import (
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/runs"
)

// shared are experiments whose steps ask different numbers of queries, or share them out
// among passes in every way.
func shared() map[string]config.Config {
	out := map[string]config.Config{}
	for name, change := range map[string]func(*config.Config){
		"site":        func(c *config.Config) { c.Allocator.Scope = "site" },
		"least":       func(c *config.Config) { c.Allocator.Scope, c.Allocator.MinQueries = "both", 3 },
		"operations":  func(c *config.Config) { c.Allocator.Scope, c.Budget.Unit = "both", "operations" },
		"drawn least": func(c *config.Config) { c.Allocator.MinQueries, c.Budget.QueriesPerImage = 3, 0.875 },
		"pairs": func(c *config.Config) {
			c.Allocator.Scope, c.Budget.Unit, c.Estimator.Antithetic = "site", "operations", true
		},
		"free": func(c *config.Config) { // queries of the classifier take no operations
			c.Allocator.Scope, c.Budget.Unit, c.Sites.Blocks = "both", "operations", "none"
		},
		"random_site": func(c *config.Config) { c.Estimator.Schedule = "random_site" },
		"core": func(c *config.Config) { // whose directions take clean passes before the first step
			c.Sites.Train, c.Sites.Own = "core", parts.CoreImages.With(parts.Rank.With(c.Sites.Own, 2), 37)
		},
		"warm-up": func(c *config.Config) {
			c.Sites.Kinds, c.Estimator.Own = []string{"residual"}, lr.Surrogate.With(c.Estimator.Own, "local")
			c.Estimator.Own = lr.FeedbackWarmup.With(c.Estimator.Own, 2)
		},
	} {
		for _, early := range []float64{0, 1} {
			c := tiny()
			c.Train.Steps, c.Checkpoint.Every, c.Train.EvalEvery = 6, 0, 0
			c.Estimator.Antithetic, c.Allocator.Name, c.Allocator.MinQueries = false, "neyman", 1
			c.Estimator.Own = lr.Surrogate.With(lr.LearnSigma.With(c.Estimator.Own, false), "none")
			c.Budget.Early = early
			if change(&c); early > 0 {
				name += ", early"
			}
			out[name] = c
		}
	}
	return out
}

// spent is what the steps of a run asked, and took in operations.
func spent(t *testing.T, x *Experiment) (all lr.Cost) {
	t.Helper()
	o := RunOptions{Dir: t.TempDir(), Watch: &quiet{}}
	o.Each = func(r *Trainer) error {
		clean, asked := r.Ledger.Of(runs.CleanPass), r.Ledger.Of(runs.Perturbed)
		all = lr.Cost{Queries: clean.Queries + asked.Queries, FLOPs: clean.FLOPs + asked.FLOPs}
		return nil
	}
	if _, err := Run(t.Context(), x, o); err != nil {
		t.Error(err)
	}
	return all
}

// TestRunCost: what all the steps of a run are said to take is what they take, in queries
// and operations; where operations are shared out, these are not passed.
func TestRunCost(t *testing.T) {
	for name, c := range shared() {
		x, err := Open(c, func(string) {})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		said := x.RunCost(c.Train.Steps)
		got := spent(t, x)
		if strings.Contains(name, "operations") || strings.Contains(name, "pairs") {
			if got.FLOPs > said.FLOPs {
				t.Errorf("%s: %d operations, %d were said", name, got.FLOPs, said.FLOPs)
			}
		} else if got.Queries != said.Queries {
			t.Errorf("%s: %d queries, %d were said", name, got.Queries, said.Queries)
		}
		x.Close()
	}
}

// TestMaxQueries: budget.max_queries is not passed, however steps differ and whatever is
// left of it for the last, and nothing fails there; where it does not pay for a step it is
// refused before.
func TestMaxQueries(t *testing.T) {
	for name, c := range shared() {
		for _, most := range []int64{70, 503} {
			c.Budget.MaxQueries = most
			x, err := Open(c, func(string) {})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			refused := x.CheckBudget() != nil
			last := &Trainer{}
			_, err = Run(t.Context(), x, RunOptions{Dir: t.TempDir(), Watch: &quiet{}, Each: func(r *Trainer) error {
				last = r
				return nil
			}})
			if err != nil {
				t.Errorf("%s, %d: %v", name, most, err)
			}
			switch {
			case refused != (last.Ledger == nil):
				t.Errorf("%s, %d: refused is %v, a step was made is %v", name, most, refused, last.Ledger != nil)
			case last.Ledger == nil && most > 400:
				t.Errorf("%s: no step was made for %d queries", name, most)
			case last.Ledger != nil && last.Ledger.Total().Queries > most:
				t.Errorf("%s: %d queries of %d", name, last.Ledger.Total().Queries, most)
			}
			x.Close()
		}
	}
}
