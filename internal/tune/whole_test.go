package tune

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/uierr"
)

// TestWalk: it finds the least loss of a valley, goes down first, and ends where both
// neighbours are worse, or the runs or the places are used up.
func TestWalk(t *testing.T) {
	for _, c := range []struct {
		losses []float64
		from   int
		n      int
		want   string
	}{
		{[]float64{5, 4, 1, 2, 3}, 3, 3, "[3 2 1]"}, // the short runs' choice is too high
		{[]float64{5, 4, 2, 1, 3}, 3, 9, "[3 2 4]"}, // it is right
		{[]float64{5, 4, 3, 2, 1}, 2, 3, "[2 1 3]"}, // too low
		{[]float64{5, 4, 3, 2, 1}, 2, 9, "[2 1 3 4]"},
		{[]float64{1, 2, 3, 4, 5}, 4, 9, "[4 3 2 1 0]"},
		{[]float64{1, 2}, 0, 2, "[0 1]"},
		{[]float64{1}, 0, 2, "[0]"},
	} {
		var seen []int
		best := -1
		err := walk(c.from, len(c.losses), c.n, func(at int) (bool, error) {
			seen = append(seen, at)
			better := best < 0 || c.losses[at] < c.losses[best]
			if better {
				best = at
			}
			return better, nil
		})
		if got := fmt.Sprint(seen); err != nil || got != c.want {
			t.Errorf("%v from %d: %s, %v, want %s", c.losses, c.from, got, err, c.want)
		}
	}
}

// TestWholeRuns: the search ends with whole runs at the experiment's own rates, of which
// the best one is chosen; stopped in one of them, it goes on to the same choice.
func TestWholeRuns(t *testing.T) {
	want := ""
	for _, stops := range []int{0, 7} {
		dir, n := t.TempDir(), 0
		over := func(o *Options) {
			o.Wholes, o.Over = 3, []Axis{{"optimizer.lr", []string{"3e-2", "1e-3", "1e-2", "3e-3"}}}
		}
		for run := 0; ; run++ {
			p, err := planned(t, dir, nil, over)
			if err != nil {
				t.Fatal(err)
			}
			stop := func() bool { return run == 0 && n == stops }
			all, err := p.Do(context.Background(), stop, func(_, _ int, _ *Search, _ *Try, done bool) {
				if !done {
					n++
				}
			})
			if err == ErrStopped && run == 0 {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			o := all[0]
			wholes := 0
			for _, x := range o.Tries {
				if x.Step == x.whole {
					wholes++
					if fmt.Sprint(x.config.Optimizer) != fmt.Sprint(x.plain.Optimizer) {
						t.Errorf("a whole run with %+v", x.config.Optimizer)
					}
					if x != o.Best && o.better(x, o.Best) {
						t.Errorf("%v did better than %v", x.Sets, o.Best.Sets)
					}
				}
			}
			if wholes < 2 || wholes > 3 || o.Best.Step != o.Best.whole || o.Best.Step != 60 {
				t.Errorf("%d whole runs, the best of %d steps", wholes, o.Best.Step)
			}
			if got := strings.Join(o.Best.Sets, " ") + fmt.Sprint(o.Queries); want == "" {
				want = got
			} else if got != want {
				t.Errorf("stopped, it ends with %s, not %s", got, want)
			}
			break
		}
	}
	for set, places := range map[string]int{"optimizer.lr=1e-3,1e-2": 2, "estimator.sigma=1e-3,1e-2": 0} {
		a, err := ParseAxis(set)
		if err != nil {
			t.Fatal(err)
		}
		p, err := planned(t, t.TempDir(), nil, func(o *Options) { o.Wholes, o.Over = 3, []Axis{a} })
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Searches[0].wholes(); got != places {
			t.Errorf("%s: %d whole runs, want %d", set, got, places)
		}
	}
	_, err := planned(t, t.TempDir(), nil, func(o *Options) { o.Wholes = 1 })
	if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, "--whole 1") {
		t.Errorf("%v", err)
	}
}

// TestWholeRunsOfArms: every arm may make as many.
func TestWholeRunsOfArms(t *testing.T) {
	arms, err := compare.ReadArms("uniform,bp")
	if err != nil {
		t.Fatal(err)
	}
	p, err := planned(t, t.TempDir(), arms, func(o *Options) { o.Wholes = 2 })
	if err != nil {
		t.Fatal(err)
	}
	var most []int
	for _, s := range p.Searches {
		most = append(most, s.wholes())
	}
	if !slices.Equal(most, []int{2, 2}) {
		t.Errorf("%v", most)
	}
}
