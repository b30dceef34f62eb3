package lr

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// localOf makes the estimator of all blocks of a model, with Jacobians that are wrong
// and never learned.
func localOf(t *testing.T, m *vit.Model, src noise.Source, antithetic bool, own settings.Values) Asker {
	t.Helper()
	o := Options{Antithetic: antithetic, Sigma: 0.003, Noise: src, Own: own}
	var blocks []int
	for i, s := range m.Sites() {
		if s.Kind == vit.Residual || s.Kind == vit.Classifier {
			o.Sites = append(o.Sites, i)
		}
		if s.Kind == vit.Residual {
			blocks = append(blocks, i)
		}
	}
	for i := range m.Params() {
		o.Params = append(o.Params, i)
	}
	own["surrogate"] = "local"
	e, err := newAsker("activation", m, o)
	if err != nil {
		t.Fatal(err)
	}
	state := map[string][]float32{"all": {3, 0, 0}}
	for _, s := range blocks {
		r := noise.Rand(77, noise.Test, uint32(s))
		l, _ := m.Layer(s)
		j := make([]float32, 3*len(l.Runs)*l.Width)
		for k := range j {
			j[k] = float32(r.Normal())
		}
		state[fmt.Sprint("jacobian.", s)], state[fmt.Sprint("moments.", s)] = j, make([]float32, 4)
	}
	if err := Predictor(e).Restore(state); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestLocalUnbiased: of two blocks, with Jacobians that are wrong and fixed, all of the
// correction and each block's own derivative, the mean of many estimates agrees with
// finite differences at every parameter within 4.5 standard errors, for pairs and
// single directions, uneven counts, drawn images and drawn rows; and does not without
// the correction. (Of more blocks the paths through two blocks' other rows are left out.)
func TestLocalUnbiased(t *testing.T) {
	m, b, src := tiny(t, true)
	groups := map[string][]int{}
	for i, p := range m.Params() {
		group := "outside"
		switch {
		case p.Block >= 0 && strings.Contains(p.Name, "attention"):
			group = fmt.Sprint("attention ", p.Block)
		case p.Block >= 0:
			group = fmt.Sprint("the rest of ", p.Block)
		}
		groups[group] = append(groups[group], i)
	}
	missed, compared := 0, 0
	for name, params := range groups {
		us := directions(t, m, b, params)
		var want []float64
		for _, u := range us {
			want = append(want, slope(t, m, b, params, u))
		}
		for _, c := range []struct {
			antithetic, draw bool
			kappa, top, rows string
		}{{true, false, "1", "learned", "all"}, {false, true, "1", "exact", "all"}, {false, false, "1", "exact", "0.5"},
			{false, false, "0", "learned", "all"}} {
			e := localOf(t, m, src, c.antithetic, settings.Values{"kappa": c.kappa, "feedback_scale": false,
				"feedback_top": c.top, "feedback_rows": c.rows})
			var draw func(int) ([]int, []float32)
			if c.draw {
				draw = someDrawn(1)
			}
			for k, s := range drawn(t, m, e, b, uneven, params, us, nil, draw) {
				z := s.z(want[k])
				switch {
				case c.kappa == "0":
					compared++
					if math.Abs(z) > limit {
						missed++
					}
				case c.top == "exact" && math.Abs(s.sum/s.n-want[k]) < 1e-4: // the second block's, without noise
				case math.Abs(z) > limit || s.sq == 0:
					t.Errorf("%s, %+v, direction %d: mean %.5g, finite difference %.5g, %.1f standard errors apart",
						name, c, k, s.sum/s.n, want[k], z)
				}
			}
		}
	}
	if missed < compared-3 {
		t.Errorf("a prediction without its correction was noticed in %d of %d comparisons", missed, compared)
	}
}

// TestLocalRowsUnbiased: the mean over draws of rows is the gradient at all rows, within
// 4.5 standard errors, where nothing else is drawn (κ = 0, fixed Jacobians).
func TestLocalRowsUnbiased(t *testing.T) {
	m, b, src := tiny(t, true)
	var params []int
	for i := range m.Params() {
		params = append(params, i)
	}
	us := directions(t, m, b, params)
	own := func(rows string) settings.Values {
		return settings.Values{"feedback_scale": false, "feedback_rows": rows, "feedback_top": "learned"}
	}
	all := localOf(t, m, src, false, own("all"))
	estimate(t, m, all, b, 0, uneven, nil, nil)
	var want []float64
	for _, u := range us {
		want = append(want, project(m, params, u))
	}
	for _, rows := range []string{"0.25", "0.5"} {
		for k, s := range drawn(t, m, localOf(t, m, src, false, own(rows)), b, uneven, params, us, nil, nil) {
			mean := s.sum / s.n
			if z := s.z(want[k]); math.Abs(z) > limit || s.sq/s.n-mean*mean < 1e-6*mean*mean {
				t.Errorf("rows %s, direction %d: mean %.5g, all rows %.5g, %.1f standard errors apart", rows, k, mean,
					want[k], z)
			}
		}
	}
}

// TestLocalFamilies: with the gradient after the last block, the last block and all that
// comes after it have backpropagation's gradient, in every family, whatever rows its outputs
// are made of, and the block below has that through these, scaled and gated ones, those
// with relative or turned positions, and with some rows drawn where a family can.
func TestLocalFamilies(t *testing.T) {
	for name, a := range map[string]vit.Architecture{"vit": tinyArch, "clip": vit.CLIPVision{Arch: tinyArch, Projected: 10},
		"beit": vit.BEiT(tinyArch, false), "dinov3": vit.DINOv3(gatedArch, 1, true), "timm": vit.Timm(tinyArch, false),
		"avgpool": average(), "beit mean": vit.BEiT(tinyArch, true),
		"dinov2": vit.DINOv2(gatedArch, 2, true), "siglip": vit.SigLIP(tinyArch, vit.PoolAttention),
		"heads": vit.DeiT(tinyArch, true)} {
		m, b, src := network(t, a, true)
		if _, err := m.Backward(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		var want [][]float32
		for _, p := range m.Params() {
			want = append(want, slices.Clone(p.Grad))
		}
		e := localOf(t, m, src, false, settings.Values{"feedback_scale": false, "feedback_rows": "0.5"})
		estimate(t, m, e, b, 0, uneven, nil, nil)
		known, other := 0, 0
		for i, p := range m.Params() {
			off := 0.0
			for k, w := range want[i] {
				off = max(off, math.Abs(float64(p.Grad[k]-w))/(1+math.Abs(float64(w))))
			}
			switch {
			case p.Block == 1 && off > 1e-3:
				t.Errorf("%s, %s: off by %.2g of backpropagation's", name, p.Name, off)
			case p.Block == 1:
				known++
			case p.Block == 0 && off > 1e-3:
				other++
			}
		}
		if known < 8 || other < 4 {
			t.Errorf("%s: %d parameters of the last block agree, %d of the first differ", name, known, other)
		}
	}
}

// TestLocalSharedTable: a parameter that all blocks compute with, BEiT's one table of relative
// positions, has the sum of the gradients that tables of the same numbers have, one in each
// block, and is listed once.
func TestLocalSharedTable(t *testing.T) {
	each, one := vit.BEiT(tinyArch, false), vit.BEiT(tinyArch, false)
	each.Relative, one.Relative = vit.RelativeBlock, vit.RelativeOne
	m, b, src := network(t, one, true)
	apart, _, _ := network(t, each, true)
	var table *forward.Param
	tables := map[string]*forward.Param{}
	for _, p := range m.Params() {
		if tables[p.Name] = p; strings.Contains(p.Name, "relative") {
			table = p
		}
	}
	for _, p := range apart.Params() {
		if strings.Contains(p.Name, "relative") {
			copy(p.Data, table.Data)
		} else {
			copy(p.Data, tables[p.Name].Data)
		}
	}
	apart.Reload()
	own := settings.Values{"feedback_scale": false, "feedback_rows": "all"}
	_, _, touched := estimate(t, m, localOf(t, m, src, false, own), b, 0, uneven, nil, nil)
	estimate(t, apart, localOf(t, apart, src, false, own), b, 0, uneven, nil, nil)
	want, found := make([]float64, len(table.Grad)), 0
	for _, p := range apart.Params() {
		if strings.Contains(p.Name, "relative") {
			found++
			for k, v := range p.Grad {
				want[k] += float64(v)
			}
		}
	}
	size, off := 0.0, 0.0
	for k, w := range want {
		size, off = max(size, math.Abs(w)), max(off, math.Abs(float64(table.Grad[k])-w))
	}
	if found != 2 || size == 0 || off > 1e-4*size {
		t.Errorf("off by %.2g of %.2g, the sum over %d blocks", off, size, found)
	}
	slices.Sort(touched)
	if n := len(touched); len(slices.Compact(touched)) != n {
		t.Error("a parameter of several blocks is listed more than once")
	}
}

// TestLocalLearns: the Jacobians that one query an image teaches predict more and more
// of what queries say, warming up gives no gradient, and what was learned goes through
// its state.
func TestLocalLearns(t *testing.T) {
	m, b, src := tiny(t, true)
	e := localOf(t, m, src, false, settings.Values{"feedback_warmup": 400})
	counts := []int{4, 4, 4, 4}
	for k := range 400 {
		s, r, params := estimate(t, m, e, b, uint32(k), counts, nil, nil)
		if len(params) > 0 || r.Queries != 16 || len(r.Records) != 1 || len(r.Records[0].Coefs) != 3*16 {
			t.Fatalf("warming up gave %v a gradient, %d queries, %d records", params, r.Queries, len(r.Records))
		}
		if err := e.Learn(s, r.Records); err != nil {
			t.Fatal(err)
		}
	}
	p := Predictor(e)
	for s, r := range p.Residuals() {
		if !(r.Share < 0.6) {
			t.Errorf("site %d: %.2f of what queries say is not predicted", s, r.Share)
		}
	}
	state := p.State()
	again := localOf(t, m, src, false, settings.Values{})
	if err := Predictor(again).Restore(state); err != nil {
		t.Fatal(err)
	}
	for name, v := range Predictor(again).State() {
		if !slices.Equal(v, state[name]) {
			t.Errorf("%s is another after a restore", name)
		}
	}
	for _, bad := range []map[string][]float32{{"all": {3, 0}}, {"all": {3, 0, 0}},
		{"all": {float32(math.NaN()), 0, 0}}} {
		if Predictor(again).Restore(bad) == nil {
			t.Errorf("a state of %v was taken", bad)
		}
	}
}

// TestLocalRefusals: what local feedback cannot be made of is refused with a reason.
func TestLocalRefusals(t *testing.T) {
	m, _, src := tiny(t, true)
	var residual, classifier, first int
	for i, s := range m.Sites() {
		switch {
		case s.Kind == vit.Residual && s.Block == 0:
			first = i
		case s.Kind == vit.Residual:
			residual = i
		case s.Kind == vit.Classifier:
			classifier = i
		}
	}
	mean, _, _ := network(t, vit.SigLIP(tinyArch, vit.PoolAttention), true)
	loss, err := objective.New("accuracy")
	if err != nil {
		t.Fatal(err)
	}
	steps := vit.NewModel(vit.NewNet(must(vit.NewWeights(tinyArch))), vit.Options{Noise: src, Loss: loss, Mask: true})
	local := func(own settings.Values) settings.Values { own["surrogate"] = "local"; return own }
	layer, _ := m.Layer(residual)
	for _, c := range []struct {
		m    query.Model
		o    Options
		says string
	}{
		{m, Options{Sites: []int{classifier}, Own: local(settings.Values{})}, "no layer's output"},
		{m, Options{Sites: []int{residual}, Own: settings.Values{"surrogate": "none"}},
			"is for estimator.surrogate: local"},
		{m, Options{Sites: []int{residual}, Own: settings.Values{"surrogate": "linear"}},
			"is for estimator.surrogate: local"},
		{m, Options{Sites: []int{residual}, Own: local(settings.Values{"learn_sigma": true})}, "learn_sigma"},
		{m, Options{Sites: []int{residual}, Schedule: "random_site", Own: local(settings.Values{})}, "random_site"},
		{m, Options{Sites: []int{residual}, Params: []int{0}, Own: local(settings.Values{})}, "part of no layer"},
		{mean, Options{Sites: []int{0}, Own: local(settings.Values{})}, "no layer's output"},
		{callable{m}, Options{Sites: []int{residual}, Own: local(settings.Values{})}, "a model without layers"},
		{steps, Options{Sites: []int{residual, classifier}, Own: local(settings.Values{})}, "a loss with a derivative"},
		{steps, Options{Sites: []int{residual}, Own: local(settings.Values{"feedback_derivative": "none"})},
			"a loss with a derivative"},
	} {
		c.o.Sigma, c.o.Noise = 0.01, src
		_, err := newAsker("activation", c.m, c.o)
		if e, ok := uierr.As(err); !ok || e.Hint == "" || !strings.Contains(e.What, c.says) {
			t.Errorf("%s: %v", c.says, err)
		}
	}
	e, err := newAsker("activation", m, Options{Sigma: 0.01, Noise: src, Sites: []int{first, residual},
		Params: layer.Params, Own: local(settings.Values{})})
	if err != nil || len(e.Plan(0)) != 1 || e.Plan(0)[0].Kind != forward.Layers {
		t.Errorf("the outputs of blocks: %v", err)
	}
}
