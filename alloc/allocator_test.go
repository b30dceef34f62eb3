package allocator

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// usual are the options of these tests.
func usual() Options {
	return Options{MinQueries: 2, Even: true, Learn: true, Features: "cls", LR: 0.05, Decay: 0.7, Window: 50}
}

func build(t testing.TB, name string, o Options) Allocator {
	t.Helper()
	a, err := New(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// odd are signals that are no usual numbers.
func odd(g *noise.Generator, n int) []float32 {
	special := []float32{0, -1, 1, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32}
	out := make([]float32, n)
	all := g.Intn(4) // none, all equal, some, all special
	for i := range out {
		out[i] = float32(g.Normal())
		if all == 1 {
			out[i] = 0.7
		}
		if all == 3 || all == 2 && g.Intn(3) == 0 {
			out[i] = special[g.Intn(len(special))]
		}
	}
	return out
}

// Every allocator keeps the invariants whatever the signals and the feedback
// are, gives the same counts again for the same seed, and its state survives.
func FuzzAllocate(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, uint8(seed), uint8(seed*7), seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, seed uint64, images, queries uint8, even bool) {
		B := int(images)%24 + 1
		for _, name := range Names() {
			o := usual()
			o.Even = even
			a, b := build(t, name, o), build(t, name, o)
			g := noise.Rand(seed, noise.Test)
			for step := range 4 {
				s := Signals{Step: step, Seed: seed, Losses: odd(g, B), Surprise: odd(g, B), Features: odd(g, 3*B), Dim: 3}
				for range B {
					s.IDs = append(s.IDs, int32(g.Intn(2*B)))
				}
				budget := 2*B + 2*(int(queries)%50)
				n, err := a.Allocate(s, budget)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				invariants(t, n, B, budget, 2, even)
				m, err := b.Allocate(s, budget)
				if err != nil || !slices.Equal(n, m) {
					t.Fatalf("%s: %v, then %v, %v", name, n, m, err)
				}
				fb := Feedback{Step: step, IDs: s.IDs, Counts: n}
				for _, v := range odd(g, B) {
					fb.Variance = append(fb.Variance, float64(v)*float64(v))
				}
				a.Observe(fb)
				state, err := a.State()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				b = build(t, name, o)
				if err := b.Restore(state); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if again, err := b.State(); err != nil || !bytes.Equal(again, state) {
					t.Fatalf("%s: state %s came back as %s, %v", name, state, again, err)
				}
			}
		}
	})
}

// A stopped and restored allocator goes on exactly as one that never stopped.
func TestResume(t *testing.T) {
	for _, name := range Names() {
		o := usual()
		o.Window, o.Fallback = 7, true
		a := build(t, name, o)
		w := newWorld(3)
		for step := range 15 {
			w.step(t, a, step, 20)
		}
		state, err := a.State()
		if err != nil {
			t.Fatal(err)
		}
		b := build(t, name, o)
		if err := b.Restore(state); err != nil {
			t.Fatal(err)
		}
		v := newWorld(3)
		for step := range 15 {
			v.batch(step)
		}
		v.g = w.clone()
		for step := 15; step < 40; step++ {
			n, _ := w.step(t, a, step, 20)
			m, _ := v.step(t, b, step, 20)
			if !slices.Equal(n, m) {
				t.Fatalf("%s: step %d: %v and %v", name, step, n, m)
			}
		}
	}
}

func TestSeedDecides(t *testing.T) {
	s := newWorld(5).batch(3)
	s.Epoch = 0
	for _, name := range []string{"gaussian", "gaussian_released", "bernoulli"} {
		a := build(t, name, usual())
		n, err := a.Allocate(s, 64*20)
		if err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func(*Signals){"seed": func(s *Signals) { s.Seed++ }, "step": func(s *Signals) { s.Step++ }} {
			c := s
			change(&c)
			if m, err := a.Allocate(c, 64*20); err != nil || slices.Equal(n, m) {
				t.Errorf("%s: another %s draws the same counts (%v)", name, what, err)
			}
		}
	}
}

func TestOneImageAndEqualLosses(t *testing.T) {
	for _, name := range Names() {
		a := build(t, name, usual())
		n, err := a.Allocate(Signals{IDs: []int32{4}, Losses: []float32{2}, Features: []float32{1, 2}, Dim: 2}, 20)
		if err != nil || !slices.Equal(n, []int{20}) {
			t.Errorf("%s: %v, %v", name, n, err)
		}
	}
	equal := Signals{IDs: make([]int32, 6), Losses: []float32{2, 2, 2, 2, 2, 2}}
	for _, name := range []string{"uniform", "bernoulli", "neyman"} {
		n, err := build(t, name, usual()).Allocate(equal, 24)
		if err != nil || !slices.Equal(n, []int{4, 4, 4, 4, 4, 4}) {
			t.Errorf("%s at equal losses: %v, %v", name, n, err)
		}
	}
}

// The remainder of equal shares moves on, so that no image gets it always.
func TestUniformRemainder(t *testing.T) {
	a := build(t, "uniform", usual())
	sum := make([]int, 4)
	for step := range 4 {
		n, err := a.Allocate(Signals{Step: step, Losses: make([]float32, 4)}, 18)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range n {
			sum[i] += v
		}
	}
	if !slices.Equal(sum, []int{18, 18, 18, 18}) {
		t.Errorf("over four steps %v", sum)
	}
}

// The released code halves about 0.3 of the images below the mean in the first
// epoch and 0.01 later: ±5 standard errors of 200 batches of 32 such images.
func TestBernoulliChances(t *testing.T) {
	a := build(t, "bernoulli", usual())
	s := Signals{Losses: make([]float32, 64)}
	for i := range 32 {
		s.Losses[i] = 1
	}
	for epoch, want := range []float64{0.3, 0.01} {
		halved := 0
		for step := range 200 {
			s.Step, s.Epoch = step, epoch
			n, err := a.Allocate(s, 64*100)
			if err != nil {
				t.Fatal(err)
			}
			top := slices.Max(n)
			for i, v := range n {
				if v < top*3/4 {
					halved++
					if i < 32 {
						t.Fatal("an image above the mean was halved")
					}
				}
			}
		}
		got := float64(halved) / (200 * 32)
		if se := math.Sqrt(want * (1 - want) / (200 * 32)); math.Abs(got-want) > 5*se {
			t.Errorf("epoch %d: %v halved, want %v ± %v", epoch, got, want, 5*se)
		}
	}
}

func TestRefused(t *testing.T) {
	set := func(f func(*Options)) Options { o := usual(); f(&o); return o }
	for name, c := range map[string]struct {
		name string
		o    Options
	}{
		"unknown name":  {"gausian", usual()},
		"w of two":      {"gaussian", set(func(o *Options) { o.W = []float64{1, 2} })},
		"w NaN":         {"gaussian", set(func(o *Options) { o.W = []float64{1, math.NaN(), 1, 1} })},
		"w2 zero":       {"gaussian", set(func(o *Options) { o.W = []float64{1, 1, 0, 1} })},
		"freeze w9":     {"gaussian", set(func(o *Options) { o.Freeze = []string{"w9"} })},
		"features":      {"gaussian", set(func(o *Options) { o.Features = "clz" })},
		"negative min":  {"uniform", set(func(o *Options) { o.MinQueries = -1 })},
		"negative rate": {"gaussian", set(func(o *Options) { o.LR = -1 })},
		"decay 1":       {"neyman", set(func(o *Options) { o.Decay = 1 })},
		"window":        {"neyman", set(func(o *Options) { o.Window = -1 })},
	} {
		if _, err := New(c.name, c.o); err == nil {
			t.Errorf("%s is accepted", name)
		} else if e, ok := uierr.As(err); !ok || e.Hint == "" {
			t.Errorf("%s: %v is no user's error with a hint", name, err)
		}
	}
	a := build(t, "gaussian", usual())
	if !a.Needs().Features {
		t.Error("cls features are not needed")
	}
	if _, err := a.Allocate(Signals{Losses: make([]float32, 2)}, 8); err == nil {
		t.Error("cls features can be missing")
	}
	for _, name := range Names() {
		a := build(t, name, usual())
		if _, err := a.Allocate(Signals{}, 8); err == nil {
			t.Errorf("%s: an empty batch is accepted", name)
		}
		if err := a.Restore([]byte(`{"Gains":"x"}`)); err == nil && name != "uniform" {
			t.Errorf("%s: a state that is none is accepted", name)
		}
	}
}

func TestLengthsChecked(t *testing.T) {
	two := []float32{1, 2}
	for _, name := range []string{"gaussian", "gaussian_released", "bernoulli", "neyman"} {
		a := build(t, name, Options{})
		for what, s := range map[string]Signals{
			"ids":      {Losses: two, IDs: []int32{1}},
			"surprise": {Losses: two, Surprise: []float32{1}},
			"features": {Losses: two, Features: []float32{1}, Dim: 3},
		} {
			if _, err := a.Allocate(s, 8); err == nil {
				t.Errorf("%s: %s of another length are accepted", name, what)
			}
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
