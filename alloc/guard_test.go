package alloc

import (
	"slices"
	"strings"
	"testing"
)

// backwards gives the most to the images of the least variance.
type backwards struct {
	stateless
	observed int
}

func (*backwards) Name() string { return "backwards" }

func (*backwards) Allocate(s Signals, budget int) ([]int, error) {
	shares := make([]float64, len(s.Losses))
	for i, l := range s.Losses {
		shares[i] = 1 / (1 + float64(l))
	}
	return Round(shares, budget, Limits{2, true})
}

func (b *backwards) Observe(Feedback) { b.observed++ }

func watch(t *testing.T, a Allocator, o GuardOptions) *Guard {
	t.Helper()
	g, err := NewGuard(a, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuard(t *testing.T) {
	for _, fallback := range []bool{false, true} {
		var said []Alarm
		inner := &backwards{}
		g, w := watch(t, inner, GuardOptions{Limits: Limits{2, true}, Window: 5, Fallback: fallback,
			Warn: func(a Alarm) { said = append(said, a) }}), newWorld(6)
		for step := range 5 {
			if n, _ := w.step(t, g, step, 10); slices.Max(n) == slices.Min(n) {
				t.Fatal("equal shares before the window is full")
			}
		}
		if len(said) != 1 || said[0].Equal != fallback || said[0].Step != 4 ||
			!strings.Contains(said[0].String(), "step 5: backwards gained nothing over the last 5 steps") {
			t.Fatalf("after the window: %v", said)
		}
		for step := 5; step < 30; step++ {
			n, _ := w.step(t, g, step, 10)
			if equal := slices.Max(n) == slices.Min(n); equal != fallback {
				t.Fatalf("fallback %v: counts %v", fallback, n)
			}
		}
		if len(said) != 1 {
			t.Errorf("said %d times", len(said))
		}
		if want := map[bool]int{false: 30, true: 5}[fallback]; inner.observed != want {
			t.Errorf("fallback %v: %d steps passed on, want %d", fallback, inner.observed, want)
		}
	}
}

func TestGuardLeavesAGain(t *testing.T) {
	o := usual()
	o.guard = GuardOptions{Window: 10, Fallback: true, Warn: func(a Alarm) { t.Error(a) }}
	newWorld(1).run(t, build(t, "neyman", o), 0, 60)
}

// fixed gives 2 and 6 queries, whatever it is told.
type fixed struct{ stateless }

func (fixed) Name() string { return "fixed" }

func (fixed) Allocate(Signals, int) ([]int, error) { return []int{2, 6}, nil }

// TestGuardMeasures: at 2 and 6 queries against 4 and 4, variances 1 and v have the
// ratio (1/2 + v/6)/((1+v)/4), so the gain is 0 at v = 3, and the mean over the
// window decides: not positive warns, however little positive does not.
func TestGuardMeasures(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		warn string
	}{
		{[]float64{3}, "(0.0%)"},
		{[]float64{3.001}, ""},
		{[]float64{2.999}, "(-0.0%)"},
		{[]float64{1}, "(-33.3%)"},
		{[]float64{9, 1}, "(-6.7%)"},       // +20% and −33%
		{[]float64{9, 9, 1}, ""},           // a mean of +2.2%
		{[]float64{9, 9, 1, 1}, "(-6.7%)"}, // two of each
	} {
		var said string
		g := watch(t, fixed{}, GuardOptions{Window: len(c.v), Warn: func(a Alarm) { said += a.String() }})
		for step, v := range c.v {
			if said != "" {
				t.Errorf("%v: said before the window was full", c.v)
			}
			g.Observe(Feedback{Step: step, Counts: []int{2, 6}, Variance: []float64{1, v}})
		}
		if (said == "") != (c.warn == "") || !strings.Contains(said, c.warn) {
			t.Errorf("%v: said %q, want %q", c.v, said, c.warn)
		}
	}
}
