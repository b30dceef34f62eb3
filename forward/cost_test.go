package forward

import (
	"math"
	"testing"
)

// TestCosts: what a step is charged, from costs that are written here: queries of
// a site at the site's suffix, joint ones at the first site's, those of weights at
// a forward or, where the model starts them later, at what it says. A gradient's
// products, two operations for each of rows·in·out of an item, are charged as
// backpropagation's are, and joint queries twice, because they run again with them.
func TestCosts(t *testing.T) {
	m := newToy(t, 2, mixed(1), 100, 1000, 10000)
	late := resumable{m, 300}
	for _, c := range []struct {
		what           string
		model          Model
		name           string
		o              Options
		queries, flops int64
	}{
		{"a site", m, "activation", Options{Antithetic: true, Sites: []int{1}}, 6, 6*1000 + 2*24},
		{"every site", m, "activation", Options{Antithetic: true, Sites: []int{0, 1, 2}}, 18, 6*11100 + 2*(12+24+24)},
		{"one-sided", m, "activation", Options{Sites: []int{0}}, 6, 6*100 + 2*12},
		{"joint", m, "activation", Options{Schedule: "joint", Sites: []int{1, 2}}, 6, 2*6*1000 + 6*(24+24)},
		{"a site and weights", m, "activation", Options{Sites: []int{0}, Params: []int{2}}, 12, 6*100 + 2*12 + 6*7777},
		{"weights", m, "weight", Options{Params: []int{0, 1}}, 6, 6 * 7777},
		{"tensor by tensor", m, "weight", Options{Schedule: "tensor", Params: []int{0, 1}}, 12, 12 * 7777},
		{"weights of the last layers", late, "weight", Options{Antithetic: true, Params: []int{3}}, 6, 6 * 300},
		{"a site of the same", late, "activation", Options{Sites: []int{2}}, 6, 6*10000 + 2*24},
	} {
		c.o.Sigma, c.o.Noise = 0.1, m.noise
		e, err := asker(c.name, c.model, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if queries, flops := e.StepCost(c.model, 0, 2, 6); queries != c.queries || flops != c.flops {
			t.Errorf("%s: told to cost %d queries and %d operations, want %d and %d", c.what, queries, flops,
				c.queries, c.flops)
		}
		if _, r := m.step(e, c.model, 0, []int{2, 4}); r.Queries != c.queries || r.FLOPs != c.flops {
			t.Errorf("%s: %d queries and %d operations, want %d and %d", c.what, r.Queries, r.FLOPs, c.queries, c.flops)
		}
	}
}

// TestPlan lists the queries image by image, pair by pair, + before −.
func TestPlan(t *testing.T) {
	got := Planned(nil, 0, []int{4, 0, 2}, true)
	want := []Query{{Image: 0, Pair: 0, Sign: 1}, {Image: 0, Pair: 0, Sign: -1}, {Image: 0, Pair: 1, Sign: 1},
		{Image: 0, Pair: 1, Sign: -1},
		{Image: 2, Pair: 0, Sign: 1}, {Image: 2, Pair: 0, Sign: -1}}
	if len(got) != len(want) {
		t.Fatalf("%d queries, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("query %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	if one := Planned(got, 0, []int{1, 2}, false); len(one) != 3 || one[2] != (Query{Image: 1, Pair: 1, Sign: 1}) {
		t.Errorf("one-sided: %+v", one)
	}
}

// TestJointBaseline: what a joint step records of each query is its loss less the
// image's clean loss, so that a σ near nothing leaves nothing.
func TestJointBaseline(t *testing.T) {
	m := newToy(t, 2, mixed(1))
	for _, sigma := range []float64{0.5, 1e-7} {
		e, err := asker("activation", m, Options{Schedule: "joint", Sigma: sigma, Sites: []int{0, 1}, Noise: m.noise})
		if err != nil {
			t.Fatal(err)
		}
		s, r := m.step(e, m, 3, []int{2, 3})
		q := Planned(nil, 0, s.Counts, false)
		losses := make([]float32, len(q))
		if err := m.Losses(t.Context(), &r.Records[0].Perturbation, q, losses); err != nil {
			t.Fatal(err)
		}
		for j, c := range r.Records[0].Coefs {
			if want := losses[j] - s.Clean.Losses[q[j].Image]; c != want || sigma < 1e-6 && math.Abs(float64(c)) > 1e-3 {
				t.Errorf("σ %v, query %d: %v, want %v", sigma, j, c, want)
			}
		}
	}
}

// TestRandomSite draws every site alike: over 3000 steps each comes up in a third
// of them, within 4.5 standard errors of the binomial, and the same step draws the
// same site.
func TestRandomSite(t *testing.T) {
	m := newToy(t, 1, mixed(1))
	e, err := asker("activation", m, Options{Schedule: "random_site", Sigma: 1, Sites: []int{0, 1, 2}, Seed: 4,
		Noise: m.noise})
	if err != nil {
		t.Fatal(err)
	}
	const steps = 3000
	n := map[int]float64{}
	for k := range uint32(steps) {
		s := e.Sites(k)
		if p := e.Plan(k); len(s) != 1 || len(p) != 1 || p[0].Sites[0] != s[0] || e.Sites(k)[0] != s[0] {
			t.Fatalf("step %d: sites %v, plan %+v", k, s, p)
		}
		n[s[0]]++
	}
	for site := range 3 {
		if z := (n[site] - steps/3.0) / math.Sqrt(steps*2/9.0); math.Abs(z) > limit {
			t.Errorf("site %d was drawn %v times of %d", site, n[site], steps)
		}
	}
}
