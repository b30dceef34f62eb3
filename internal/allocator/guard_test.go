package allocator

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
	return Round(shares, budget, 2, true)
}

func (b *backwards) Observe(Feedback) { b.observed++ }

func TestGuard(t *testing.T) {
	for _, fallback := range []bool{false, true} {
		var said []string
		o := Options{MinQueries: 2, Even: true, Window: 5, Fallback: fallback, Warn: func(s string) { said = append(said, s) }}
		inner := &backwards{}
		g, w := Watch(inner, o), newWorld(6)
		for step := range 5 {
			if n, _ := w.step(t, g, step, 10); slices.Max(n) == slices.Min(n) {
				t.Fatal("equal shares before the window is full")
			}
		}
		if len(said) != 1 || !strings.Contains(said[0], "backwards gained nothing over the last 5 steps") {
			t.Fatalf("after the window: %q", said)
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
	o.Window, o.Fallback, o.Warn = 10, true, func(s string) { t.Error(s) }
	newWorld(1).run(t, build(t, "neyman", o), 0, 60)
}
