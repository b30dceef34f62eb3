package texts

import (
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/noise"
)

// Where every class has a context of its own, a query that moves one costs that class's
// text alone, and says what the whole model says with that context moved.
func TestEachClassCosts(t *testing.T) {
	for name, exact := range map[string]bool{"losses": false, "exact": true} {
		m, _, b := learned(t, "../../testdata/texts/clip", inPlain, Options{Count: 2, PerClass: true, Exact: exact})
		p, err := m.Clean(t.Context(), b, nil)
		testkit.Must(t, err)
		clean := p.Clean()
		before := m.counts
		q := []forward.Query{{Image: 4, Pair: 1, Sign: 1}, {Image: 4, Pair: 1, Sign: -1}, {Image: 0, Pair: 0, Sign: 1},
			{Image: 0, Pair: 1, Sign: 1}}
		for _, params := range [][]int{{2}, {0}, {1, 0}, {0, 1, 2}} {
			per := &forward.Perturbation{Kind: forward.Weights, Step: 3, Sigma: []float32{0.1}, Params: params}
			out := make([]float32, len(q))
			testkit.Must(t, p.Losses(t.Context(), per, q, out))
			if got, want := m.counts.Texts-before.Texts, int64(3*len(params)); got != want || m.counts.Images != before.Images {
				t.Errorf("%s, classes %v: 3 directions cost %d texts, want %d", name, params, got, want)
			}
			for j, x := range q {
				was := make([][]float32, len(m.params))
				for i, p := range m.params {
					was[i] = slices.Clone(p.Data)
				}
				for _, i := range params {
					m.noise.AddScaled(m.params[i].Data, was[i], float32(x.Sign)*0.1, noise.Counter{Step: 3, Site: forward.WeightSite,
						Image: uint32(i), Pair: uint32(x.Pair)}, 0)
				}
				texts := m.texts
				m.Touch()
				e, err := m.Evaluate(t.Context(), b)
				testkit.Must(t, err)
				m.texts = texts
				for i, v := range was {
					copy(m.params[i].Data, v)
				}
				want := e.Losses[x.Image]
				if exact {
					tangent, err := clean.Tangent()
					testkit.Must(t, err)
					one := make([]float32, 1)
					tangent.Losses(one, e.Logits[x.Image*3:x.Image*3+3], []forward.Query{x})
					want = one[0]
				}
				if out[j] != want {
					t.Errorf("%s, classes %v, query %+v: %v, want %v", name, params, x, out[j], want)
				}
			}
			before = m.counts
		}
		fourth := &forward.Perturbation{Kind: forward.Weights, Sigma: []float32{1}, Params: []int{3}}
		if err := p.Losses(t.Context(), fourth, q, make([]float32, len(q))); err == nil {
			t.Error("a fourth of three contexts was moved")
		}
	}
}

// Class by class and all at once have the gradient as their mean; class by class, none has
// the others' noise, and the same number of texts says more.
func TestEachClassUnbiased(t *testing.T) {
	spread := map[string]float64{}
	for _, schedule := range []string{"tensor", "all"} {
		m, _, b := learned(t, "../../testdata/texts/clip", inPlain, Options{Count: 2, PerClass: true, Exact: true})
		_, err := m.Backward(t.Context(), b)
		testkit.Must(t, err)
		var want []float32
		for _, p := range m.params {
			want = append(want, p.Grad...)
		}
		e, err := forward.Weight(m, forward.Options{Antithetic: true, Sigma: 1e-2, Schedule: schedule})
		testkit.Must(t, err)
		const runs = 250
		a := alloc.NewUniform(alloc.Limits{Least: 2, Even: true})
		var of testkit.Moments
		texts := m.counts.Texts
		for range runs {
			_, err := e.Step(t.Context(), b, a, 4*b.Size)
			testkit.Must(t, err)
			var grads [][]float32
			for _, p := range m.params {
				grads = append(grads, p.Grad)
			}
			of.Add(grads...)
		}
		if got, want := m.counts.Texts-texts, int64(runs*3*(1+4)); got != want {
			t.Errorf("%s: %d texts, want %d", schedule, got, want)
		}
		for i, w := range want {
			mean, v, se := of.At(i)
			spread[schedule] += v
			if math.Abs(mean-float64(w)) > 4.5*se+1e-4 {
				t.Errorf("%s, number %d: mean %v ± %v, gradient %v", schedule, i, mean, se, w)
			}
		}
	}
	t.Logf("variance class by class %.3g, all at once %.3g", spread["tensor"], spread["all"])
	if !(spread["tensor"] < 0.6*spread["all"]) { // a third, but for what the classes' gradients differ by
		t.Errorf("class by class varies by %v, all at once by %v", spread["tensor"], spread["all"])
	}
}

// However many texts are asked at once, each is what it is alone.
func TestAskPacks(t *testing.T) {
	for name, o := range map[string]Options{"shared": {Count: 3}, "per class": {Count: 3, PerClass: true}} {
		m, _, _ := learned(t, "../../testdata/texts/clip", inPlain, o)
		r := noise.Rand(9, noise.Test)
		var many []wanted
		for range 50 {
			theta := m.theta()
			for i, v := range theta {
				theta[i] = slices.Clone(v)
				for j := range v {
					theta[i][j] += float32(r.Normal())
				}
			}
			many = append(many, m.of(theta, m.every())...)
		}
		got, err := m.ask(t.Context(), many)
		testkit.Must(t, err)
		width := m.tower.Width()
		for i, w := range many {
			want, err := m.ask(t.Context(), []wanted{w})
			testkit.Must(t, err)
			if !slices.Equal(got[i*width:(i+1)*width], want) {
				t.Fatalf("%s: text %d of %d is another among them", name, i, len(many))
			}
		}
	}
}
