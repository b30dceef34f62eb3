package tune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/uierr"
)

// TestRungs: halving keeps the larger half, ends with two, and costs what its tries
// take when each goes on where it was.
func TestRungs(t *testing.T) {
	for n, want := range map[int]string{1: "[] 0", 2: "[{2 1}] 2", 3: "[{3 1} {2 2}] 5", 5: "[{5 1} {3 2} {2 4}] 12",
		7: "[{7 1} {4 2} {2 4}] 15", 8: "[{8 1} {4 2} {2 4}] 16"} {
		if got := fmt.Sprint(rungs(n), units(n)); got != want {
			t.Errorf("%d tries: %s, want %s", n, got, want)
		}
	}
	of := func(n ...int) (all []Axis) {
		for _, k := range n {
			all = append(all, Axis{Values: make([]string, k)})
		}
		return all
	}
	for _, c := range []struct {
		axes         []Axis
		tries, units int
	}{{of(5), 5, 12}, {of(5, 3), 7, 16}, {of(1, 3), 3, 5}, {of(3, 1, 2), 4, 6}} {
		if a, b := tries(c.axes), allUnits(c.axes); a != c.tries || b != c.units {
			t.Errorf("%d tries of %d units, want %d and %d", a, b, c.tries, c.units)
		}
	}
}

// TestAxes: what --over takes, and what it refuses.
func TestAxes(t *testing.T) {
	for in, want := range map[string][]string{
		"optimizer.lr=1e-3,0.01":                 {"1e-3", "0.01"},
		" estimator.sigma = 1 , 2":               {"1", "2"},
		"optimizer.betas=[0.9, 0.99],[0.8,0.95]": {"[0.9, 0.99]", "[0.8,0.95]"},
		"optimizer.name=adamw":                   {"adamw"},
	} {
		if a, err := ParseAxis(in); err != nil || !slices.Equal(a.Values, want) {
			t.Errorf("%s: %q, %v", in, a.Values, err)
		}
	}
	for in, want := range map[string]string{
		"optimizer.lr": "no '='", "optimizer.lr=": "a value is missing", "optimizer.lr=1,,2": "a value is missing",
		"optimizer.lr=1,2,1": "1 stands there twice", "optimizer.rate=1": "no key optimizer.rate",
		"train.seed=1,2": "cannot be compared", "objective.kind=accuracy,cross_entropy": "cannot be compared",
		"data.validation=0.1,0.2": "cannot be compared",
	} {
		_, err := ParseAxis(in)
		if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, want) || e.Hint == "" {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}

// TestFit: without queries the settings of queries fall away, and the rate gets as
// many tries more over the same range.
func TestFit(t *testing.T) {
	c := config.Origin()
	for _, over := range [][]Axis{nil, {{"estimator.sigma", []string{"1", "2", "3"}}},
		{{"optimizer.lr", []string{"0.01", "1"}}, {"budget.queries_per_image", []string{"2", "4", "8"}}},
		{{"optimizer.name", []string{"adamw", "sgd"}}, {"allocator.name", []string{"uniform", "neyman"}}},
		{{"optimizer.lr", []string{"1", "2"}}}} {
		axes := axesOf(c, over)
		bp := fit(c, axes, false)
		if tries(bp) != tries(axes) || len(fit(c, axes, true)) != len(axes) {
			t.Errorf("%v: %d tries of %v, want %d", axes, tries(bp), bp, tries(axes))
		}
		for _, a := range bp {
			if strings.HasPrefix(a.Key, "estimator.") || strings.HasPrefix(a.Key, "budget.") {
				t.Errorf("bp tries %v", a)
			}
		}
	}
	if got, want := widened([]string{"1", "0.01"}, 1), []string{"0.01", "0.1", "1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := around(2e-3, 3), []string{"0.0002", "0.002", "0.02"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

const tiny = `
model: {arch: {image: 8, patch: 4, channels: 3, hidden: 8, layers: 1, heads: 2, mlp: 8}}
data: {kind: shapes, size: 8, count: 40, test_count: 16, validation: 0.2}
sites: {kinds: [mlp_out]}
allocator: {name: uniform}
budget: {queries_per_image: 2}
optimizer: {lr: 3e-3}
train: {steps: 60, batch_size: 8, seed: 1, threads: 1}
`

// planned is a plan of the tiny experiment in a folder.
func planned(t *testing.T, dir string, arms []compare.Arm, change func(*Options)) (*Plan, error) {
	t.Helper()
	path := filepath.Join(dir, "tiny.yaml")
	if err := os.WriteFile(path, []byte(tiny), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Options{Share: 0.7, Options: compare.Options{Config: path, Dir: filepath.Join(dir, "out"), Warn: func(string) {},
		Device: func(*config.Config) error { return nil }}}
	if change != nil {
		change(&o)
	}
	return MakePlan(o, arms)
}

func never() bool { return false }

func untold(int, int, *Search, *Try, bool) {}

// TestSearch: what is chosen has the least loss of its last round, in no more
// queries than allowed; a search that was stopped at any run goes on to the same
// report; and what was chosen is an experiment.
func TestSearch(t *testing.T) {
	var want string
	for _, stops := range []int{0, 2, 9} {
		dir := t.TempDir()
		p, err := planned(t, dir, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if stops > 0 { // in the middle of a run
			asked, told := 0, 0
			_, err := p.Do(context.Background(), func() bool {
				asked++
				return told >= stops && asked%2 == 0
			}, func(int, int, *Search, *Try, bool) { told++ })
			if !errors.Is(err, ErrStopped) {
				t.Fatalf("stopped at run %d: %v", stops, err)
			}
			if p, err = planned(t, dir, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		all, err := p.Do(context.Background(), never, untold)
		if err != nil {
			t.Fatal(err)
		}
		o := all[0]
		if len(o.Tries) != 7 || float64(o.Queries) > 0.7*float64(o.Whole)+1e-6 || o.Queries < o.Whole/3 {
			t.Errorf("%d tries took %d of %d queries", len(o.Tries), o.Queries, o.Whole)
		}
		for _, x := range o.Tries {
			if x != o.Best && x.at >= o.Best.at && x.s.better(x, o.Best) {
				t.Errorf("%v did better than %v", x.Sets, o.Best.Sets)
			}
		}
		path, err := p.Write(all)
		if err != nil {
			t.Fatal(err)
		}
		r, err := config.Load(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range o.Best.Sets {
			key, v, _ := strings.Cut(s, "=")
			x, _ := strconv.ParseFloat(v, 64)
			got := map[string]float64{"optimizer.lr": r.Optimizer.LR, "estimator.sigma": r.Config.Estimator.Sigma}[key]
			if got != x {
				t.Errorf("%s has %s %v, want %v", path, key, got, x)
			}
		}
		if r.Train.Steps != 60 || r.Data.Validation != 0.2 {
			t.Errorf("%s is not the experiment: %+v", path, r.Train)
		}
		report, err := json.Marshal(p.Report(all))
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = string(report)
		}
		if string(report) != want {
			t.Errorf("stopped at run %d, the search ends with\n%s\nnot\n%s", stops, report, want)
		}
	}
}

// TestEarly: tries of an experiment with more queries early are equal at every step, so
// that no search takes more than its share; the whole runs have what the experiment has.
func TestEarly(t *testing.T) {
	p, err := planned(t, t.TempDir(), nil, func(o *Options) { o.Sets, o.Wholes = []string{"budget.early=1"}, 2 })
	if err != nil {
		t.Fatal(err)
	}
	plain, err := planned(t, t.TempDir(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, want := p.Searches[0], plain.Searches[0]
	if off := float64(s.Whole)/float64(want.Whole) - 1; math.Abs(off) > 0.01 || s.short != want.short || s.steps != 60 {
		t.Errorf("%d queries and %d of %d steps, without budget.early %d and %d", s.Whole, s.short, s.steps, want.Whole,
			want.short)
	}
	x, err := s.try(s.point)
	if err != nil || x.config.Budget.Early != 0 {
		t.Errorf("a try has budget.early: %v, %v", x.config.Budget.Early, err)
	}
	if x, err = s.whole(s.point); err != nil || x.config.Budget.Early != 1 {
		t.Errorf("a whole run has budget.early: %v, %v", x.config.Budget.Early, err)
	}
	if _, err := ParseAxis("budget.early=0,1"); err == nil {
		t.Error("budget.early was taken as an axis")
	}
}

// TestWarmUp: a short try warms up for the share of its steps that the experiment has, so
// that it makes updates.
func TestWarmUp(t *testing.T) {
	p, err := planned(t, t.TempDir(), nil, func(o *Options) {
		o.Sets = []string{"estimator.surrogate=local", "sites.kinds=[residual]", "estimator.feedback_warmup=30"}
		o.Wholes = 2
	})
	if err != nil {
		t.Fatal(err)
	}
	s := p.Searches[0]
	x, err := s.try(s.point)
	if err != nil {
		t.Fatal(err)
	}
	if n := lr.FeedbackWarmup.Of(x.config.Estimator.Own); n != x.config.Train.Steps*30/x.whole || n == 0 {
		t.Errorf("%d of %d steps warm up, 30 of %d in the experiment", n, x.config.Train.Steps, x.whole)
	}
	if x, err = s.whole(s.point); err != nil || lr.FeedbackWarmup.Of(x.config.Estimator.Own) != 30 {
		t.Errorf("a whole run: %v, %v", x.config.Estimator.Own, err)
	}
}

// TestMiniature: a try is the run in small, the longer one with the smaller rate, and
// as it is where it is as long.
func TestMiniature(t *testing.T) {
	for share, want := range map[float64]string{0.7: "14 of 60, rate 0.0207, warm-up 2, drops 7",
		9: "60 of 60, rate 0.01, warm-up 12, drops 30"} {
		p, err := planned(t, t.TempDir(), nil, func(o *Options) {
			o.Share, o.Sets = share, []string{"optimizer.warmup=12", "optimizer.step_size=30"}
			o.Over = []Axis{{"optimizer.lr", []string{"0.001", "0.01", "0.03"}}, {"estimator.sigma", []string{"0.01", "0.1"}}}
		})
		if err != nil {
			t.Fatal(err)
		}
		s := p.Searches[0]
		x, err := s.try([]string{"0.01", "0.1"})
		if err != nil {
			t.Fatal(err)
		}
		o := x.config.Optimizer
		got := fmt.Sprintf("%d of %d, rate %.4g, warm-up %d, drops %d", x.config.Train.Steps, x.whole, o.LR, o.Warmup,
			o.StepSize)
		if got != want {
			t.Errorf("share %v: %s, want %s", share, got, want)
		}
		if !strings.Contains(s.Describe(), strings.Split(got, ",")[0]+" steps") {
			t.Error(s.Describe())
		}
	}
}

// TestTestSplitIsNotLookedAt: no try measures it, and an experiment without another
// split is refused.
func TestTestSplitIsNotLookedAt(t *testing.T) {
	dir := t.TempDir()
	p, err := planned(t, dir, nil, func(o *Options) { o.Over = []Axis{{"optimizer.lr", []string{"1e-3", "1e-2"}}} })
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.Do(context.Background(), never, untold)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all[0].Tries {
		raw, err := os.ReadFile(filepath.Join(x.dir, "metrics.jsonl"))
		if err != nil || strings.Contains(string(raw), `"eval"`) || !strings.Contains(string(raw), `"validation"`) {
			t.Errorf("%v: %s, %v", x.Sets, raw, err)
		}
	}
	for set, want := range map[string]string{"data.validation=0": "there is no validation split",
		"data.validation_split=test": "test"} {
		_, err := planned(t, t.TempDir(), nil, func(o *Options) { o.Sets = []string{"data.validation=0", set} })
		if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, want) {
			t.Errorf("%s: %v", set, err)
		}
	}
}

// TestArms: every arm has as many tries, and the file of arms that is written is one.
func TestArms(t *testing.T) {
	arms, err := compare.ReadArms("uniform,bp")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p, err := planned(t, dir, arms, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.Do(context.Background(), never, untold)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || len(all[0].Tries) != 7 || len(all[1].Tries) != 7 {
		t.Fatalf("%d arms: %+v", len(all), all)
	}
	path, err := p.Write(all)
	if err != nil {
		t.Fatal(err)
	}
	tuned, err := compare.ReadArms(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range tuned {
		if a.Name != arms[i].Name || a.Match != arms[i].Match ||
			!slices.Equal(a.Set, slices.Concat(arms[i].Set, all[i].Best.Sets)) {
			t.Errorf("%+v of %+v and %v", a, arms[i], all[i].Best.Sets)
		}
	}
}

// TestDiverged: a try that diverges loses and the others go on; where all do, it is
// said.
func TestDiverged(t *testing.T) {
	over := func(values ...string) func(*Options) {
		return func(o *Options) {
			o.Sets, o.Over = []string{"optimizer.name=sgd"}, []Axis{{"optimizer.lr", values}}
		}
	}
	p, err := planned(t, t.TempDir(), nil, over("1000", "1e-2", "999"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.Do(context.Background(), never, untold)
	if err != nil {
		t.Fatal(err)
	}
	if best := all[0].Best; best.Sets[0] != "optimizer.lr=1e-2" || all[0].Tries[2].Diverged == "" {
		t.Errorf("chose %v of %+v", best.Sets, all[0].Tries)
	}
	if p, err = planned(t, t.TempDir(), nil, over("1000", "999")); err != nil {
		t.Fatal(err)
	}
	_, err = p.Do(context.Background(), never, untold)
	if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, "every value of optimizer.lr diverged") {
		t.Errorf("%v", err)
	}
}

// TestOther: a folder with the tries of another search is refused, and so is a share
// that pays for no step.
func TestOther(t *testing.T) {
	dir := t.TempDir()
	two := func(o *Options) { o.Over = []Axis{{"optimizer.lr", []string{"1e-3", "1e-2"}}} }
	p, err := planned(t, dir, nil, two)
	if err == nil {
		_, err = p.Do(context.Background(), never, untold)
	}
	if err != nil {
		t.Fatal(err)
	}
	if p, err = planned(t, dir, nil, func(o *Options) { two(o); o.Sets = []string{"train.seed=7"} }); err != nil {
		t.Fatal(err)
	}
	_, err = p.Do(context.Background(), never, untold)
	if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, "train.seed is 1 there, and 7 here") {
		t.Errorf("%v", err)
	}
	_, err = planned(t, t.TempDir(), nil, func(o *Options) { o.Share = 0.05 })
	if e, ok := uierr.As(err); !ok || !strings.Contains(e.Hint, "give --share 0.") {
		t.Errorf("%v", err)
	}
}
