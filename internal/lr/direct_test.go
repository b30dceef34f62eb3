package lr

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// tokenArch is tinyArch with tokens of its own in every block.
var tokenArch = func() vit.Arch { a := tinyArch; a.Prompts, a.Deep = 2, true; return a }()

// direct is a network with sites of all its biases, norms and tokens.
func direct(t testing.TB, a vit.Architecture, mask bool) (*vit.Model, *forward.Batch, noise.Source, []int) {
	t.Helper()
	var sites []int
	m, b, src := prepared(t, a, mask, func(n *vit.Net) {
		var groups [][]int
		g := noise.Rand(17, noise.Test)
		for i, p := range n.Params() {
			for k := range p.Data {
				if p.Role == "norm" { // away from scales of 1 and shifts of 0
					p.Data[k] += float32(0.3 * g.Normal())
				}
			}
			switch {
			case p.Role == "norm" && strings.HasSuffix(p.Name, ".weight"):
				groups = append(groups, []int{i, i + 1})
			case p.Role == "prompt", p.Role == "linear" && len(p.Shape) == 1:
				groups = append(groups, []int{i})
			}
		}
		var err error
		if sites, err = n.Direct(groups); err != nil {
			t.Fatal(err)
		}
	})
	return m, b, src, sites
}

// TestDirectUnbiased: noise on a bias, on the scale and shift of a norm and on tokens,
// which all rows of an image share, gives the gradient that finite differences give, at
// every one of them, alone and all in one forward, with a prediction that is wrong and
// without.
func TestDirectUnbiased(t *testing.T) {
	for _, c := range []struct {
		arch vit.Architecture
		mask bool
	}{{tokenArch, true}, {tinyArch, false}, {vit.DINOv2(gatedArch, 2, true), true},
		{vit.SigLIP(tinyArch, vit.PoolAttention), true}, {vit.DeiT(tinyArch, true), true}} {
		m, b, src, sites := direct(t, c.arch, c.mask)
		check := func(name string, e Asker, params []int) {
			t.Helper()
			us := directions(t, m, b, params)
			for k, s := range estimates(t, m, e, b, uneven, params, us, nil) {
				want := slope(t, m, b, params, us[k])
				if z := s.z(want); math.Abs(z) > limit || s.sq == 0 {
					t.Errorf("%T, %s, direction %d: mean %.5g, finite difference %.5g, %.1f standard errors apart", c.arch,
						name, k, s.sum/s.n, want, z)
				}
			}
		}
		_, plain := c.arch.(vit.Arch)
		var all []int
		for _, i := range sites {
			s := m.Sites()[i]
			all = append(all, s.Direct...)
			if strings.HasSuffix(s.Name, "key.bias") || !plain && s.Block == 0 {
				continue // to which the softmax is blind; a family's first block is as its last
			}
			e, err := newAsker("activation", m, Options{Antithetic: s.Block == 1, Sigma: 0.01, Sites: []int{i}, Noise: src})
			if err != nil {
				t.Fatal(err)
			}
			check(s.Name, e, s.Direct)
		}
		o := Options{Schedule: "joint", Antithetic: true, Sigma: 0.01, Sites: sites, Noise: src}
		e, err := newAsker("activation", m, o)
		if err != nil {
			t.Fatal(err)
		}
		check("joint", e, all)
	}
}

// TestDirectSharesRows: the estimate of a bias by noise that rows share has a smaller
// variance than by noise of every row's own, whose mean is the same, by about the number
// of rows and more.
func TestDirectSharesRows(t *testing.T) {
	m, b, src, sites := direct(t, tinyArch, true)
	for _, i := range sites {
		s := m.Sites()[i]
		if s.Kind != vit.Bias || s.Block != 0 || strings.HasSuffix(s.Name, "key.bias") {
			continue
		}
		us := directions(t, m, b, s.Direct)
		spread := func(site int) float64 {
			e, err := newAsker("activation", m, Options{Antithetic: true, Sigma: 0.01, Sites: []int{site}, Noise: src})
			if err != nil {
				t.Fatal(err)
			}
			x := estimates(t, m, e, b, uneven, s.Direct, us, nil)[1]
			return x.sq/x.n - (x.sum/x.n)*(x.sum/x.n)
		}
		var of int
		for k, x := range m.Sites() {
			if x.Bias == s.Direct[0] {
				of = k
			}
		}
		if shared, own := spread(i), spread(of); shared > 0.9*own {
			t.Errorf("%s: variance %.3g with shared noise, %.3g with every row's own", s.Name, shared, own)
		}
	}
}

// TestFeedbackUnbiased: with kappa 1 the joint gradient of all biases, norms and tokens
// is unbiased whatever the Jacobians are, and with kappa 0 it is not.
func TestFeedbackUnbiased(t *testing.T) {
	m, b, src, all := direct(t, tokenArch, true)
	var sites, params []int
	for _, i := range all {
		if m.Sites()[i].Kind != vit.Bias || m.Sites()[i].Block == 1 {
			sites, params = append(sites, i), append(params, m.Sites()[i].Direct...)
		}
	}
	us := directions(t, m, b, params)
	for _, kappa := range []string{"1", "0"} {
		own := Kappa.With(Surrogate.With(FeedbackScale.With(nil, false), "feedback"), kappa)
		e, err := New("activation", m, Options{Antithetic: true, Sigma: 0.01, Sites: sites, Params: params, Noise: src,
			Own: own})
		if err != nil {
			t.Fatal(err)
		}
		wrong := map[string][]float32{"all": {3, 1, 1}}
		g := noise.Rand(3, noise.Test)
		for _, i := range sites {
			j := make([]float32, 3*m.Sites()[i].Out)
			for k := range j {
				j[k] = float32(0.05 * g.Normal())
			}
			wrong["jacobian."+strconv.Itoa(i)], wrong["moments."+strconv.Itoa(i)] = j, make([]float32, 4)
		}
		if err := Predictor(e).Restore(wrong); err != nil {
			t.Fatal(err)
		}
		far := 0.0
		for k, s := range estimates(t, m, e.(Asker), b, uneven, params, us, nil) {
			far = max(far, math.Abs(s.z(slope(t, m, b, params, us[k]))))
		}
		if unbiased := far < limit; unbiased != (kappa == "1") {
			t.Errorf("kappa %s: %.1f standard errors from the finite difference", kappa, far)
		}
	}
}
