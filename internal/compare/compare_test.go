package compare

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/uierr"
)

// Student's t with two degrees of freedom is 4.3027 at 0.975 (any table).
func TestMeanOf(t *testing.T) {
	m := MeanOf([]float64{1, 2, 3})
	if m.Value != 2 || math.Abs(m.Half-4.3027/math.Sqrt(3)) > 1e-4 {
		t.Errorf("%+v", m)
	}
	if m := MeanOf([]float64{5}); m.Value != 5 || !math.IsNaN(m.Half) {
		t.Errorf("one value: %+v", m)
	}
	if m := MeanOf(nil); !math.IsNaN(m.Value) {
		t.Errorf("no value: %+v", m)
	}
}

// What a seed does to every arm cancels in the difference, not in the accuracy.
func TestDifferencesArePaired(t *testing.T) {
	run := func(acc ...float64) (out []Result) {
		for i, a := range acc {
			out = append(out, Result{Seed: int64(i), Accuracy: a, Queries: 100, Curve: []Point{{Queries: 50, Accuracy: a / 2},
				{Queries: 100, Accuracy: a}}})
		}
		return out
	}
	s := Summarise([]Arm{{Name: "a"}, {Name: "b"}}, [][]Result{run(0.1, 0.5, 0.9), run(0.12, 0.52, 0.92)})
	if d := s[1].Difference; math.Abs(d.Value-0.02) > 1e-12 || d.Half > 1e-12 || s[1].Accuracy.Half < 0.5 {
		t.Errorf("difference %+v, accuracy %+v", d, s[1].Accuracy)
	}
	if !math.IsNaN(s[0].Difference.Value) || !math.IsNaN(s[0].PeakMiB) {
		t.Errorf("the control: %+v", s[0])
	}
	if c := s[0].Curve; len(c) != 2 || c[0].Queries != 50 || math.Abs(c[0].Accuracy.Value-0.25) > 1e-12 {
		t.Errorf("curve %+v", c)
	}
}

// Whatever an arms file says, the answer is arms or a mistake of the user's.
func FuzzArms(f *testing.F) {
	for _, s := range []string{"", "arms:", "arms: [{name: a}]", "arms:\n  - {name: a, set: [x=1], match: flops}\n",
		"arms: 3", "arms: [[]]", "a: &a [*a]",
		"arms: [{name: a, name: b}]", "arms:\n- {nam: a}\n", "arms: [~]", "\x00", "arms: [{name: \"\\n\"}]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		arms, err := parse("arms.yaml", []byte(s))
		if err != nil {
			if e, ok := uierr.As(err); !ok || e.What == "" || e.Hint == "" {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if len(arms) == 0 {
			t.Errorf("%q: no arms and no error", s)
		}
	})
}

// The shipped arms files resolve against the shipped experiment, and every name
// that needs no file does.
func TestShippedArms(t *testing.T) {
	dir := filepath.Join("..", "..", "configs")
	files, err := filepath.Glob(filepath.Join(dir, "arms", "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	var all []Arm
	for _, path := range files {
		arms, err := ReadArms(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, arms...)
	}
	for _, n := range Names() {
		arms, err := ReadArms(n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, arms...)
	}
	for _, base := range []string{"cifar5.yaml", "demo.yaml"} {
		for _, a := range all {
			if _, err := config.Load(filepath.Join(dir, base), a.Set); err != nil {
				t.Errorf("%s, arm %s: %v", base, a.Name, err)
			}
		}
	}
}

// A budget is spent to within one smallest step by every arm, evaluations apart.
func TestPlanSpends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiny.yaml")
	err := os.WriteFile(path, []byte(`
model: {arch: {image: 8, patch: 4, channels: 3, hidden: 8, layers: 1, heads: 2, mlp: 8}}
data: {kind: shapes, size: 8, count: 32, test_count: 16}
estimator: {antithetic: true, exact_output: false, surrogate: none}
allocator: {name: gaussian, min_queries: 2}
budget: {queries_per_image: 4}
train: {steps: 5, batch_size: 8}
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	arms, err := ReadArms("uniform,one-pair,random_site,weight,bp")
	if err != nil {
		t.Fatal(err)
	}
	arms = append(arms, Arm{"bp-steps", arms[4].Set, MatchSteps}, Arm{"early", []string{"budget.early=1"}, MatchQueries},
		Arm{"early-flops", []string{"budget.early=0.7"}, MatchFLOPs},
		Arm{"operations", []string{"allocator.scope=both", "budget.unit=operations"}, MatchQueries})
	p, err := MakePlan(Options{Config: path, Seeds: 2, Points: 3, Warn: func(string) {},
		Device: func(*config.Config) error { return nil }}, arms)
	if err != nil {
		t.Fatal(err)
	}
	if p.Target != 5*8*(1+4*7) {
		t.Errorf("target %d", p.Target)
	}
	for i, a := range arms {
		k, err := p.open(p.Configs[i])
		if err != nil {
			t.Fatal(err)
		}
		steps := p.Configs[i].Train.Steps
		all, less := k.x.RunCost(steps), k.x.RunCost(steps-1)
		k.x.Close()
		if a.Match == MatchSteps {
			if steps != 5 {
				t.Errorf("%s: %d steps, the experiment has 5", a.Name, steps)
			}
			continue
		}
		if a.Match == MatchFLOPs {
			if f := all.FLOPs; f > p.FLOPs || 2*f-less.FLOPs <= p.FLOPs {
				t.Errorf("%s: %d operations of %d", a.Name, f, p.FLOPs)
			}
			continue
		}
		if all.Queries < p.Target || less.Queries >= p.Target {
			t.Errorf("%s: %d steps of %d queries for %d", a.Name, steps, all.Queries, p.Target)
		}
		if a.Name == "early" && steps != 5 {
			t.Errorf("with more queries early %d steps, 5 without", steps)
		}
	}
	if n := len(p.Runs()); n != 18 {
		t.Errorf("%d runs", n)
	}
}

// TestArmsMistakes: what an arms file may not be.
func TestArmsMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"arms: [{name: a}]\n---\narms: [{name: b}]": "a second document",
		"arms: [{name: ../a}]":                      "no name of an arm",
		"arms: [{name: a, sets: []}]":               "unknown key sets",
		"arms: [{name: a, match: queris}]":          "match",
		"arms: []":                                  "no arms",
		"arms: [&a {<<: *a}]":                       "endless",
	} {
		_, err := parse("arms.yaml", []byte(text))
		if e, ok := uierr.As(err); !ok || e.Hint == "" || !strings.Contains(e.What, want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	arms, err := parse("arms.yaml", []byte("arms:\n- &a {name: a, set: [train.seed=1]}\n- {<<: *a, name: b}\n"))
	if err != nil || len(arms) != 2 || arms[1].Name != "b" || len(arms[1].Set) != 1 {
		t.Errorf("a merge: %+v, %v", arms, err)
	}
}
