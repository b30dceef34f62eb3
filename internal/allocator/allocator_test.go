package allocator

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/uierr"
)

// usual are the options of these tests.
func usual() Options {
	return Options{MinQueries: 2, Even: true, Window: 50}
}

// mistake finds an error's two lines.
func mistake(t *testing.T, what string, err error) *uierr.Error {
	t.Helper()
	e, ok := uierr.As(err)
	if !ok || e.Hint == "" {
		t.Fatalf("%s: %v is no user's error with a hint", what, err)
	}
	return e
}

func TestRefused(t *testing.T) {
	set := func(f func(*Options)) Options { o := usual(); f(&o); return o }
	for key, c := range map[string]struct {
		name string
		o    Options
	}{
		"name":         {"gausian", usual()},
		"w: [1 2] are": {"gaussian", set(func(o *Options) { o.Own = Start.With(o.Own, []float64{1, 2}) })},
		"w: [1 NaN":    {"gaussian", set(func(o *Options) { o.Own = Start.With(o.Own, []float64{1, math.NaN(), 1, 1}) })},
		"w: w2":        {"gaussian", set(func(o *Options) { o.Own = Start.With(o.Own, []float64{1, 1, 0, 1}) })},
		"freeze":       {"gaussian", set(func(o *Options) { o.Own = Freeze.With(o.Own, []string{"w9"}) })},
		"features":     {"gaussian", set(func(o *Options) { o.Own = Features.With(o.Own, "clz") })},
		"min_queries":  {"uniform", set(func(o *Options) { o.MinQueries = -1 })},
		"lr":           {"gaussian", set(func(o *Options) { o.Own = LR.With(o.Own, -1) })},
		"decay":        {"neyman", set(func(o *Options) { o.Own = Decay.With(o.Own, 1) })},
		"window":       {"neyman", set(func(o *Options) { o.Window = -1 })},
	} {
		_, err := New(c.name, c.o)
		if e := mistake(t, key, err); !strings.HasPrefix(e.What, "allocator."+key) {
			t.Errorf("%s: %v", key, e)
		}
	}
}

// TestKeysOfErrors: what package alloc refuses is told by the keys of a config.
func TestKeysOfErrors(t *testing.T) {
	two := alloc.Signals{Losses: make([]float32, 2), Features: make([]float32, 2), Dim: 1}
	for what, c := range map[string]struct {
		name   string
		s      alloc.Signals
		budget int
	}{
		"allocator.features: this model gives no cls embedding": {"gaussian", alloc.Signals{Losses: make([]float32,
			2)}, 8},
		"the batch is empty": {"neyman", alloc.Signals{}, 8},
		"budget: 3 queries for 2 images that get at least 2 each": {"gaussian", two, 3},
		"budget: 9 queries cannot be spent in antithetic pairs":   {"gaussian", two, 9},
	} {
		a, err := New(c.name, usual())
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.Allocate(c.s, c.budget)
		if e := mistake(t, what, err); e.What != what {
			t.Errorf("%q, want %q", e.What, what)
		}
	}
}

// TestOptionsReach: every name is made with its options, and learns or not as told.
func TestOptionsReach(t *testing.T) {
	s := alloc.Signals{IDs: []int32{0, 1, 2}, Losses: []float32{1, 2, 3}, Features: []float32{1, 2, 4}, Dim: 1}
	moved := func(o Options) bool {
		a, err := New("gaussian", o)
		if err != nil {
			t.Fatal(err)
		}
		n, err := a.Allocate(s, 60)
		if err != nil {
			t.Fatal(err)
		}
		a.Observe(alloc.Feedback{IDs: s.IDs, Counts: n, Variance: []float64{1, 4, 25}})
		return !slices.Equal(a.(alloc.Parameters).Params(), []float64{2, 0.3, 0.1, 1})
	}
	o := usual()
	o.Own = Start.With(o.Own, []float64{2, 0.3, 0.1, 1})
	if !moved(o) {
		t.Error("learns nothing")
	}
	for what, change := range map[string]func(*Options){
		"learn: false": func(o *Options) { o.Own = Learn.With(o.Own, false) },
		"lr: 0":        func(o *Options) { o.Own = LR.With(o.Own, 0) },
		"all frozen":   func(o *Options) { o.Own = Freeze.With(o.Own, names()) },
	} {
		c := o
		change(&c)
		if moved(c) {
			t.Errorf("%s, and it learns", what)
		}
	}
	for _, name := range Names() {
		a, err := New(name, Options{MinQueries: 4, Even: true})
		if err != nil || a.Name() != name {
			t.Fatalf("%s: %v, %v", name, a, err)
		}
		if n, err := a.Allocate(s, 14); err != nil || slices.Min(n) < 4 {
			t.Errorf("%s: %v, %v", name, n, err)
		}
	}
}

// TestWarning: what the guard says names the key that would mend it.
func TestWarning(t *testing.T) {
	for fallback, want := range map[bool]string{
		false: "step 1: neyman gained nothing over the last 1 steps (-112.5%); " +
			"allocator.fallback: true would return to equal shares",
		true: "step 1: neyman gained nothing over the last 1 steps (-112.5%); equal shares from now on"} {
		var said string
		a, err := New("neyman", Options{Window: 1, Fallback: fallback, Warn: func(s string) { said = s }})
		if err != nil {
			t.Fatal(err)
		}
		a.Observe(alloc.Feedback{Counts: []int{2, 8}, Variance: []float64{4, 1}}) // 2.125 against 1
		if said != want {
			t.Errorf("said %q, want %q", said, want)
		}
	}
}

func TestRegisterTwice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a name can be taken twice")
		}
	}()
	Register("uniform", nil)
}
