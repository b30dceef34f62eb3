package alloc

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/noise"
)

// odd are signals that are no usual numbers.
func odd(g *noise.Generator, n int) []float32 {
	special := []float32{0, -1, 1, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)),
		math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32}
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
		for _, name := range every {
			o := usual()
			o.limits.Even = even
			a, b := build(t, name, o), build(t, name, o)
			g := noise.Rand(seed, noise.Test)
			for step := range 4 {
				s := Signals{Step: step, Seed: seed, Losses: odd(g, B), Surprise: odd(g, B), Features: odd(g, 3*B),
					Dim: 3}
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
	for _, name := range every {
		o := usual()
		o.guard.Window, o.guard.Fallback = 7, true
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
		for what, change := range map[string]func(*Signals){"seed": func(s *Signals) { s.Seed++ },
			"step": func(s *Signals) { s.Step++ }} {
			c := s
			change(&c)
			if m, err := a.Allocate(c, 64*20); err != nil || slices.Equal(n, m) {
				t.Errorf("%s: another %s draws the same counts (%v)", name, what, err)
			}
		}
	}
}

func TestOneImageAndEqualLosses(t *testing.T) {
	for _, name := range every {
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
	for option, make := range map[string]func() error{
		"Start of two": func() error { _, err := NewGaussian(GaussianOptions{Start: []float64{1, 2}}); return err },
		"Start NaN": func() error {
			_, err := NewGaussian(GaussianOptions{Start: []float64{1, math.NaN(), 1, 1}})
			return err
		},
		"Start w2":  func() error { _, err := NewGaussian(GaussianOptions{Start: []float64{1, 1, 0, 1}}); return err },
		"Rate":      func() error { _, err := NewGaussian(GaussianOptions{Rate: -1}); return err },
		"Rate Inf":  func() error { _, err := NewGaussian(GaussianOptions{Rate: math.Inf(1)}); return err },
		"Decay 1":   func() error { _, err := NewNeyman(NeymanOptions{Decay: 1}); return err },
		"Decay NaN": func() error { _, err := NewNeyman(NeymanOptions{Decay: math.NaN()}); return err },
		"Window":    func() error { _, err := NewGuard(NewUniform(Limits{}), GuardOptions{Window: -1}); return err },
	} {
		var e *OptionError
		if err := make(); !errors.As(err, &e) || e.Want == "" || !strings.HasPrefix(option, e.Option) {
			t.Errorf("%s: %v", option, err)
		}
	}
	a := build(t, "gaussian", usual())
	if !a.Needs().Features {
		t.Error("features are not needed")
	}
	var signal *SignalError
	if _, err := a.Allocate(Signals{Losses: make([]float32, 2)}, 8); !errors.As(err,
		&signal) || signal.Signal != "Features" {
		t.Errorf("features can be missing: %v", err)
	}
	for _, name := range every {
		a := build(t, name, usual())
		var budget *BudgetError
		if _, err := a.Allocate(Signals{}, 8); !errors.As(err, &budget) || budget.Items != 0 {
			t.Errorf("%s: an empty batch is accepted: %v", name, err)
		}
		if err := a.Restore([]byte(`{"Gains":"x"}`)); err == nil && name != "uniform" {
			t.Errorf("%s: a state that is none is accepted", name)
		}
	}
}

// TestEmptySignals: a list of none is a signal that is not there.
func TestEmptySignals(t *testing.T) {
	o := usual()
	o.gaussian.ByFeatures = false
	for _, name := range every {
		s := Signals{Losses: []float32{1, 2}, IDs: []int32{}, Surprise: []float32{}, Features: []float32{}}
		n, err := build(t, name, o).Allocate(s, 12)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		invariants(t, n, 2, 12, 2, true)
	}
}

func TestLengthsChecked(t *testing.T) {
	two := []float32{1, 2}
	for _, name := range []string{"gaussian", "gaussian_released", "bernoulli", "neyman"} {
		a := build(t, name, options{})
		for what, s := range map[string]Signals{
			"IDs":      {Losses: two, IDs: []int32{1}},
			"Surprise": {Losses: two, Surprise: []float32{1}},
			"Features": {Losses: two, Features: []float32{1}, Dim: 3},
		} {
			var e *SignalError
			if _, err := a.Allocate(s, 8); !errors.As(err, &e) || e.Signal != what || e.Have != 1 {
				t.Errorf("%s: %s of another length: %v", name, what, err)
			}
		}
	}
}
