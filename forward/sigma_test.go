package forward

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/noise"
)

// TestSigmaGradient: on losses curve·½‖z−t‖² smoothing adds curve·½σ²d, so that
// ∂/∂log σ is curve·σ²·d, d the values of the output; the mean of the estimates
// agrees within 4.5 standard errors, for a loss that noise raises and one that it
// lowers, of pairs and of single directions.
func TestSigmaGradient(t *testing.T) {
	for _, curve := range []float64{1, -0.5} {
		for _, antithetic := range []bool{true, false} {
			m := newToy(t, 2, []toySite{{rows: 2, in: 2, out: 3, curve: curve}})
			const sigma = 0.7
			e, err := asker("activation", m, Options{Antithetic: antithetic, Sigma: sigma,
				LearnSigma: true, SigmaRate: 1e-3, Sites: []int{0}, Noise: m.noise})
			if err != nil {
				t.Fatal(err)
			}
			a := e.Asker.(*activation)
			var got sample
			for k := range 4000 {
				s, r := m.step(e, m, k, []int{4, 2})
				got.add(a.sigmaGradient(s, r.Records[0], 0))
			}
			want := curve * sigma * sigma * 6
			if z := got.z(want); !(math.Abs(z) <= limit) {
				t.Errorf("curve %v, antithetic %v: mean %.4g, exact %.4g, %.1f standard errors apart", curve,
					antithetic, got.sum/got.n, want, z)
			}
		}
	}
}

// TestSigmaFollows: the scale shrinks where noise raises the loss and grows where
// it lowers it, by exactly exp(−rate·gradient), by no more than a tenth in its
// logarithm at once, and within its bounds.
func TestSigmaFollows(t *testing.T) {
	for _, curve := range []float64{1, -1} {
		m := newToy(t, 2, []toySite{{rows: 1, in: 2, out: 3, curve: curve}})
		e, err := asker("activation", m, Options{Antithetic: true, Sigma: 0.5,
			LearnSigma: true, SigmaRate: 0.02, Sites: []int{0}, Noise: m.noise})
		if err != nil {
			t.Fatal(err)
		}
		a := e.Asker.(*activation)
		for k := range 100 {
			s, r := m.step(e, m, k, []int{4, 4})
			before := e.State()[0]
			g := a.sigmaGradient(s, r.Records[0], 0)
			e.Learn(s, r.Records)
			want := max(1e-5, min(10, before*math.Exp(max(-0.1, min(0.1, -0.02*g)))))
			if after := e.State()[0]; math.Abs(after-want) > 1e-6*want {
				t.Fatalf("curve %v, step %d: from %v to %v, want %v", curve, k, before, after, want)
			}
		}
		if s := e.State()[0]; (curve > 0) != (s < 0.4) || (curve < 0) != (s > 0.6) {
			t.Errorf("curve %v: the scale went from 0.5 to %v", curve, s)
		}
	}

	// one step of a given gradient: the mean loss of the directions is set by hand
	m := newToy(t, 1, []toySite{{rows: 1, in: 2, out: 2}})
	for _, c := range []struct{ sigma, mean, want float64 }{
		{0.5, 0, 0.5},
		{0.5, 1e6, 0}, {0.5, -1e6, 0}, // a tenth either way, by the sign of ‖ε‖² − d
		{sigmaMin, 1e6, 0}, {sigmaMax, 1e6, 0}, {sigmaMin, -1e6, 0}, {sigmaMax, -1e6, 0},
	} {
		e, err := asker("activation", m, Options{Sigma: c.sigma,
			LearnSigma: true, SigmaRate: 1, Sites: []int{0}, Noise: m.noise})
		if err != nil {
			t.Fatal(err)
		}
		s := &Step{Batch: &Batch{Size: 1}, Counts: []int{1}}
		r := []Record{{Perturbation: e.Plan(0)[0], Coefs: []float32{0}, Mean: []float32{float32(c.mean)}}}
		if c.want == 0 {
			up := -e.Asker.(*activation).sigmaGradient(s, r[0], 0) // the sign alone
			c.want = max(sigmaMin, min(sigmaMax, c.sigma*math.Exp(math.Copysign(0.1, up))))
		}
		e.Learn(s, r)
		if got := e.State()[0]; math.Abs(got-c.want) > 1e-6*c.want {
			t.Errorf("scale %v, mean loss %v: %v, want %v", c.sigma, c.mean, got, c.want)
		}
	}
}

// TestSigmaGradientByHand: (1/B) Σ_i (1/P_i) Σ_p (ℓ̄_ip − b_i)(‖ε_ip‖² − d) over the
// noise of the live rows alone, which rows that reach no loss would only blur.
func TestSigmaGradientByHand(t *testing.T) {
	m := newToy(t, 2, []toySite{{rows: 2, in: 2, out: 3}})
	e, err := asker("activation", m, Options{Antithetic: true, Sigma: 0.5,
		LearnSigma: true, Sites: []int{0}, Noise: m.noise})
	if err != nil {
		t.Fatal(err)
	}
	s := &Step{Number: 5, Batch: &Batch{Size: 2}, Counts: []int{4, 2}}
	r := Record{Perturbation: e.Plan(5)[0], Mean: []float32{3, -1, 2}}
	want := 0.0
	for j, c := range []noise.Counter{{Step: 5, Image: 0, Pair: 0}, {Step: 5, Image: 0, Pair: 1}, {Step: 5,
		Image: 1, Pair: 0}} {
		sq := -6.0
		for _, v := range m.eps(c, 6) {
			sq += float64(v) * float64(v)
		}
		want += float64(r.Mean[j]) * sq / []float64{4, 4, 2}[j] // B·P_i
	}
	if got := e.Asker.(*activation).sigmaGradient(s, r, 0); math.Abs(got-want) > 1e-9 {
		t.Errorf("%v, by hand %v", got, want)
	}
}

// TestMeans are the losses of a direction's queries less the clean loss, by hand.
func TestMeans(t *testing.T) {
	q := Planned(nil, 0, []int{4, 2}, true)
	losses, clean := []float32{3, 1, 2, 6, 5, 9}, []float32{1, 4}
	for perPair, want := range map[int][]float32{2: {1, 3, 3}, 1: {2, 0, 1, 5, 1, 5}} {
		for j, v := range means(q, losses, clean, perPair) {
			if v != want[j] {
				t.Errorf("%d queries a direction: mean %d is %v, want %v", perPair, j, v, want[j])
			}
		}
	}
}

// TestNoScaleToLearn: with learn_sigma off, nothing moves and no means are kept.
func TestNoScaleToLearn(t *testing.T) {
	m := newToy(t, 1, mixed(1)[:1])
	e, err := asker("activation", m, Options{Antithetic: true, Sigma: 0.5,
		SigmaRate: 1, Sites: []int{0}, Noise: m.noise})
	if err != nil {
		t.Fatal(err)
	}
	s, r := m.step(e, m, 0, []int{2})
	e.Learn(s, r.Records)
	if r.Records[0].Mean != nil || e.State()[0] != 0.5 {
		t.Errorf("means %v, scale %v", r.Records[0].Mean, e.State()[0])
	}
}

// TestStateOfScales: what was learned goes through a checkpoint, and what no scale
// can be is refused.
func TestStateOfScales(t *testing.T) {
	m := newToy(t, 1, mixed(1))
	e, err := asker("activation", m, Options{Sigma: 0.5, Sites: []int{2, 0}, Noise: m.noise})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Restore([]float64{0.25, 2}); err != nil {
		t.Fatal(err)
	}
	if p := e.Plan(0); p[0].Sites[0] != 2 || p[0].Sigma[0] != 0.25 || p[1].Sites[0] != 0 || p[1].Sigma[0] != 2 {
		t.Errorf("plan %+v", p)
	}
	for _, bad := range [][]float64{{1}, {1, 0}, {1, -1}, {math.NaN(), 1}, {1, math.Inf(1)}} {
		if e.Restore(bad) == nil {
			t.Errorf("%v was taken for scales", bad)
		}
	}
}
