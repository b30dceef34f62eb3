package forward

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/noise"
)

// bowl is a loss with the gradient 2(θ−i) at item i, whose antithetic differences are
// exact but for rounding.
func bowl(theta []float32, item int) (loss float32) {
	for _, v := range theta {
		loss += (v - float32(item)) * (v - float32(item))
	}
	return loss
}

func newBowl(t *testing.T, theta []float32) *Func {
	t.Helper()
	m, err := NewFunc(theta, noise.Gaussian(3), PerItem(bowl))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// uneven gives the items of a batch 2, 6 and 4 queries.
type uneven struct{ alloc.Uniform }

func (*uneven) Allocate(alloc.Signals, int) ([]int, error) { return []int{2, 6, 4}, nil }

// TestFuncUnbiased: the mean over many steps is the gradient (1/B) Σ 2(θ−i) of the
// items asked for, at uneven counts, within 4.5 standard errors; one-sided too.
func TestFuncUnbiased(t *testing.T) {
	for _, antithetic := range []bool{true, false} {
		theta := []float32{0.5, -1}
		m := newBowl(t, theta)
		e, err := Weight(m, Options{Sigma: 0.01, Antithetic: antithetic})
		if err != nil {
			t.Fatal(err)
		}
		var got [2]sample
		for range 4000 {
			r, err := e.Step(context.Background(), &Batch{Size: 3, Index: []int32{4, 1, 7}}, &uneven{}, 12)
			if err != nil {
				t.Fatal(err)
			}
			if r.Queries != 12 || r.Losses[0] != bowl(theta, 4) {
				t.Fatalf("%d queries, clean loss %v", r.Queries, r.Losses[0])
			}
			for i, g := range m.Gradient() {
				got[i].add(float64(g))
			}
		}
		for i, v := range theta {
			if z := got[i].z(2 * (float64(v) - 4)); math.Abs(z) > limit {
				t.Errorf("antithetic %v, parameter %d: %.1f standard errors off", antithetic, i, z)
			}
		}
		if theta[0] != 0.5 || theta[1] != -1 {
			t.Error("a step changed theta")
		}
	}
}

// TestFuncAsksTogether: items that share a direction are asked in one call, by their
// numbers, and each only as often as its count says.
func TestFuncAsksTogether(t *testing.T) {
	calls, times := 0, map[int32]int{}
	m, err := NewFunc([]float32{1}, noise.Gaussian(1), func(_ context.Context, theta []float32, items []int32,
		losses []float32) error {
		calls++
		for k, i := range items {
			times[i]++
			losses[k] = theta[0] * float32(i)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := Weight(m, Options{Sigma: 0.1, Antithetic: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Step(context.Background(), &Batch{Size: 3, Index: []int32{5, 6, 7}}, &uneven{}, 12); err != nil {
		t.Fatal(err)
	}
	if calls != 7 || times[5] != 3 || times[6] != 7 || times[7] != 5 { // one clean, then three directions of two signs
		t.Errorf("%d calls, items %v", calls, times)
	}
}

// TestStepsRepeat: the number of a step decides its estimate, and a failed step can
// be taken again.
func TestStepsRepeat(t *testing.T) {
	theta, fail := []float32{1, 2}, false
	down := errors.New("the box is down")
	m, err := NewFunc(theta, noise.Gaussian(1), func(ctx context.Context, th []float32, items []int32,
		losses []float32) error {
		if fail && th[0] != 1 {
			return down
		}
		return PerItem(bowl)(ctx, th, items, losses)
	})
	if err != nil {
		t.Fatal(err)
	}
	share := alloc.NewUniform(alloc.Limits{Least: 2, Even: true})
	step := func(number uint32) (float32, error) {
		e, err := Weight(m, Options{Sigma: 0.01, Antithetic: true})
		if err != nil {
			t.Fatal(err)
		}
		e.Number = number
		_, err = e.Step(context.Background(), &Batch{Size: 2}, share, 8)
		if want := number; err == nil && e.Number != want+1 || err != nil && e.Number != want {
			t.Errorf("after step %d the next is %d", number, e.Number)
		}
		return m.Gradient()[0], err
	}
	first, _ := step(3)
	other, _ := step(4)
	fail = true
	if _, err := step(3); !errors.Is(err, down) {
		t.Errorf("a failure of the function is %v", err)
	}
	fail = false
	if again, err := step(3); err != nil || again != first || other == first {
		t.Errorf("step 3 gave %v, then %v (%v); step 4 %v", first, again, err, other)
	}
}

func TestMistakesOfTheCaller(t *testing.T) {
	m := newBowl(t, []float32{0})
	var option *OptionError
	wants := func(what string, err error) {
		t.Helper()
		if !errors.As(err, &option) || option.Option != what {
			t.Errorf("%v, want an OptionError of %s", err, what)
		}
	}
	_, err := NewFunc(make([]float32, 4097), noise.Halton(noise.Normal, 1), PerItem(bowl))
	wants("Noise", err)
	_, err = Weight(m, Options{})
	wants("Sigma", err)
	_, err = Weight(m, Options{Sigma: 1, Schedule: "joint"})
	wants("Schedule", err)
	_, err = Weight(m, Options{Sigma: 1, Params: []int{1}})
	wants("Params", err)
	_, err = Activation(m, Options{Sigma: 1})
	wants("Sites", err)
	e, err := Weight(m, Options{Sigma: 1, Antithetic: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Step(context.Background(), &Batch{Size: 2}, alloc.NewUniform(alloc.Limits{}), 6)
	wants("Counts", err)
	_, err = e.Step(context.Background(), &Batch{Size: 2}, &uneven{}, 6)
	wants("Counts", err)
	_, err = e.Step(context.Background(), &Batch{Size: 2, Index: []int32{1}},
		alloc.NewUniform(alloc.Limits{Least: 2, Even: true}), 8)
	wants("Index", err)
	var budget *alloc.BudgetError
	if _, err = e.Step(context.Background(), &Batch{Size: 2}, alloc.NewUniform(alloc.Limits{Least: 2, Even: true}),
		2); !errors.As(err, &budget) {
		t.Errorf("a budget too small: %v", err)
	}
}

// TestStalePass: a pass that a later one took the place of refuses.
func TestStalePass(t *testing.T) {
	m := newBowl(t, []float32{0})
	old, err := m.Clean(context.Background(), &Batch{Size: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Clean(context.Background(), &Batch{Size: 1}, nil); err != nil {
		t.Fatal(err)
	}
	p := &Perturbation{Kind: Weights, Params: []int{0}, Sigma: []float32{1}}
	if err := old.Losses(context.Background(), p, nil, nil); !errors.Is(err, ErrStale) {
		t.Errorf("asked of a stale pass: %v", err)
	}
	if err := old.Accumulate(context.Background(), p, nil); !errors.Is(err, ErrStale) {
		t.Errorf("gathered of a stale pass: %v", err)
	}
}

// TestAs: what a model is besides is found behind what wraps it.
func TestAs(t *testing.T) {
	m := AnsweredBy(newToy(t, 1, mixed(1), 1, 2, 3), func(_ *Batch, p Pass) Evaluator { return p })
	if c, ok := As[Costed](m); !ok || c.ForwardFLOPs() != 7777 {
		t.Error("a wrapped model has lost its costs")
	}
	if _, ok := As[Costed](newBowl(t, nil)); ok {
		t.Error("a function knows what it costs")
	}
}

// together is a pass that is asked everything in one call.
type together struct {
	Pass
	calls *int
}

func (p together) AskTogether(ctx context.Context, all []Questions) error {
	*p.calls++
	for _, q := range all {
		if err := p.Losses(ctx, q.Perturbation, q.Queries, q.Losses); err != nil {
			return err
		}
	}
	return nil
}

// TestAskedTogether: whoever takes the questions of a step at once is asked once, and
// the gradient is that of one perturbation after another.
func TestAskedTogether(t *testing.T) {
	gradient := func(calls *int) (out []float32) {
		own := newBowl(t, nil)
		m := AnsweredBy(own, func(_ *Batch, p Pass) Evaluator {
			if calls == nil {
				return p
			}
			return together{p, calls}
		})
		e, err := Weight(m, Options{Schedule: "tensor", Antithetic: true, Sigma: 0.01})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Step(t.Context(), &Batch{Size: 3, Index: []int32{4, 1, 7}}, &uneven{}, 12); err != nil {
			t.Fatal(err)
		}
		for _, p := range own.Params() {
			out = append(out, p.Grad...)
		}
		return out
	}
	calls := 0
	if got, want := gradient(&calls), gradient(nil); !slices.Equal(got, want) || calls != 1 {
		t.Errorf("%d calls, gradient %v, want %v", calls, got, want)
	}
}
