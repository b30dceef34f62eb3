package lr

import (
	"math"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// wrong predicts the same wrong gradient at every step.
type wrong struct {
	forward.Surrogate
	m        *vit.Model
	withheld float32
}

func (w wrong) Predicts(int) bool { return true }

func (w wrong) Guess(s *forward.Step, site int) (*forward.Guess, error) {
	at, ok := w.m.Anchor(site)
	if !ok {
		return nil, nil
	}
	g := &forward.Guess{Site: site, Used: true, At: make([]float32, s.Batch.Size*at.Width), Withheld: w.withheld}
	r := noise.Rand(77, noise.Test, uint32(site))
	for i := range g.At {
		g.At[i] = float32(r.Normal())
	}
	return g, nil
}

// someDrawn draws the images 0, 1 and 2 with the chances 0.4, 0.25 and 0.7, and image
// 3 always, and gives them different numbers of directions.
func someDrawn(perPair int) func(k int) ([]int, []float32) {
	return func(k int) ([]int, []float32) {
		r := noise.Rand(31, noise.Test, uint32(k))
		chance := []float32{0.4, 0.25, 0.7, 1}
		counts := []int{2, 1, 3, 1}
		for i := range counts {
			if counts[i] *= perPair; float32(r.Float64()) >= chance[i] {
				counts[i] = 0
			}
		}
		return counts, chance
	}
}

// lastSites are the sites of the last block and after it.
func lastSites(m *vit.Model) (out []int) {
	for i, s := range m.Sites() {
		if s.Block == 1 && s.Kind != vit.Residual || s.Kind == vit.Classifier {
			out = append(out, i)
		}
	}
	return out
}

// TestSurrogateUnbiased: with a prediction that is wrong and fixed, at every kind of
// site, for pairs and single directions, uneven counts and drawn images, the mean of
// many estimates agrees with central finite differences within 4.5 standard errors;
// and it does not where the correction by what the queries say of the prediction is
// left out.
func TestSurrogateUnbiased(t *testing.T) {
	missed, compared := 0, 0
	for _, arch := range []vit.Architecture{tinyArch, vit.DINOv2(gatedArch, 2, true)} {
		m, compare := surrogateUnbiased(t, arch)
		missed, compared = missed+m, compared+compare
	}
	if missed < compared/2 {
		t.Errorf("a prediction without its correction was noticed in %d of %d comparisons", missed, compared)
	}
}

func surrogateUnbiased(t *testing.T, arch vit.Architecture) (missed, compared int) {
	t.Helper()
	m, b, src := network(t, arch, true)
	for _, site := range lastSites(m) {
		if _, ok := m.Anchor(site); !ok {
			t.Fatalf("%s has no anchor", m.Sites()[site].Name)
		}
		params := m.Sites()[site].Params()
		us := directions(t, m, b, params)
		var want []float64
		for _, u := range us {
			want = append(want, slope(t, m, b, params, u))
		}
		for _, c := range []struct{ antithetic, draw, shown, spoil bool }{{true, false, false, false},
			{false, true, false, false}, {true, true, true, false}, {false, false, false, true}} {
			f, err := forward.Activation(m, forward.Options{Antithetic: c.antithetic, Sigma: 0.01, Sites: []int{site},
				Noise: src, Surrogate: wrong{m: m}, Shown: c.shown})
			if err != nil {
				t.Fatal(err)
			}
			e := asker{f}
			var draw func(int) ([]int, []float32)
			if c.draw {
				draw = someDrawn(1)
				if c.antithetic {
					draw = someDrawn(2)
				}
			}
			var spoil func(*forward.Step, []forward.Record)
			if c.spoil {
				spoil = func(s *forward.Step, r []forward.Record) { uncorrected(t, e, s, r) }
			}
			for k, s := range drawn(t, m, e, b, uneven, params, us, spoil, draw) {
				z := s.z(want[k])
				switch {
				case c.spoil:
					compared++
					if math.Abs(z) > limit {
						missed++
					}
				case math.Abs(z) > limit || s.sq == 0:
					t.Errorf("%s, %+v, direction %d: mean %.5g, finite difference %.5g, %.1f standard errors apart",
						m.Sites()[site].Name, c, k, s.sum/s.n, want[k], z)
				}
			}
		}
	}
	return missed, compared
}

// exactly predicts at a site what is right where the outputs are linear in the anchor,
// and alike in the rows of a run: e times a Jacobian of one row for each run.
type exactly struct {
	forward.Surrogate
	m        *vit.Model
	jacobian [][]float32 // per run: classes×width
}

func (p exactly) Predicts(int) bool { return true }

func (p exactly) Guess(s *forward.Step, site int) (*forward.Guess, error) {
	at, ok := p.m.Anchor(site)
	if !ok {
		return nil, nil
	}
	g := &forward.Guess{Site: site, Used: true, At: make([]float32, s.Batch.Size*at.Width)}
	e, err := s.Clean.OutputGradient(1)
	C, W := s.Clean.Classes, at.Width/len(p.jacobian)
	for i := range s.Batch.Size {
		for k, j := range p.jacobian {
			for c := range C {
				for x := range W {
					g.At[(i*len(p.jacobian)+k)*W+x] += e[i*C+c] * j[c*W+x]
				}
			}
		}
	}
	return g, err
}

// TestRowsPredicted: in a last block of which all rows are read, without a norm after
// it and without the derivative of its feed-forward layer's first map, the Jacobian at
// every anchor is a product of matrices. The gradient that is made of it, without
// queries, is backpropagation's.
func TestRowsPredicted(t *testing.T) {
	for name, e := range map[string]vit.Encoder{"cls and mean": vit.DINOv2(tinyArch, 0, false),
		"registers": vit.DINOv2(tinyArch, 3, false), "mean": vit.SigLIP(tinyArch, vit.PoolMean),
		"mean beside cls": func() vit.Encoder { e := vit.DINOv2(tinyArch, 0, false); e.Pool = vit.PoolMean; return e }()} {
		e.FinalNorm, e.Scaled = false, false
		m, b, src := network(t, e, true)
		param := func(site int) []float32 { return m.Params()[m.Sites()[site].Weight].Data }
		at := map[string]int{}
		for i, s := range m.Sites() {
			if s.Block == 1 || s.Kind == vit.Classifier {
				at[s.Kind] = i
			}
		}
		H, C, n := e.Hidden, e.Classes, float32(math.Sqrt(float64(e.Patches())))
		head, k := param(at[vit.Classifier]), m.Sites()[at[vit.Classifier]].In
		jacobians := func(after []float32, in int) (out [][]float32) { // of logits by rows of which after makes outputs
			from := func(lo int, share float32) {
				j := make([]float32, C*in)
				for c := range C {
					for y := range H {
						for x := range in {
							w := float32(0)
							if after != nil {
								w = after[y*in+x]
							} else if x == y {
								w = 1
							}
							j[c*in+x] += head[c*k+lo+y] * w / share
						}
					}
				}
				out = append(out, j)
			}
			if e.Pool == vit.PoolBoth {
				from(0, 1)
			}
			if e.Registers > 0 {
				out = append(out, make([]float32, C*in))
			}
			from(k-H, n)
			return out
		}
		for _, c := range []struct {
			kind   string
			after  string // whose map makes the block's output of the anchor
			branch bool   // the other branch adds nothing
		}{{vit.MLPOut, "", false}, {vit.MLPIn, vit.MLPOut, false}, {vit.AttnOut, "", true}, {vit.Value, vit.AttnOut, true},
			{vit.Query, vit.AttnOut, true}, {vit.Key, vit.AttnOut, true}} {
			if c.branch {
				clear(param(at[vit.MLPOut]))
				m.Reload()
			}
			site := at[c.kind]
			var after []float32
			in := H
			if c.after != "" {
				after, in = param(at[c.after]), m.Sites()[at[c.after]].In
			}
			f, err := forward.Activation(m, forward.Options{Sigma: 0.01, Sites: []int{site}, Noise: src,
				Surrogate: exactly{m: m, jacobian: jacobians(after, in)}})
			if err != nil {
				t.Fatal(err)
			}
			params := m.Sites()[site].Params()
			clearGrads(m)
			if _, err := m.Backward(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			var want []float32
			for _, p := range params {
				want = append(want, m.Params()[p].Grad...)
			}
			estimate(t, m, asker{f}, b, 0, make([]int, b.Size), nil, nil)
			var apart, sq float64
			for _, p := range params {
				for j, g := range m.Params()[p].Grad {
					apart, sq = apart+math.Pow(float64(g-want[j]), 2), sq+float64(g)*float64(g)
				}
				want = want[len(m.Params()[p].Grad):]
			}
			if !(apart < 1e-8*sq) {
				t.Errorf("%s, %s: %.3g of backpropagation's gradient apart", name, c.kind, math.Sqrt(apart/sq))
			}
		}
	}
}

// uncorrected adds to what queries said what was predicted of it, so that nothing is
// taken off again.
func uncorrected(t *testing.T, e Asker, s *forward.Step, records []forward.Record) {
	if err := e.Accumulate(t.Context(), s, records); err != nil {
		t.Fatal(err)
	}
	for k := range records {
		r := &records[k]
		for j, c := range r.Coefs {
			r.Coefs[j] = c + (c - r.Left[j])
		}
	}
}

// TestWithheld: of what the queries say beside a prediction the gradient has the share
// that is not withheld, and with all of it withheld it is the same for any noise.
func TestWithheld(t *testing.T) {
	m, b, src := network(t, vit.DINOv2(tinyArch, 0, false), true)
	for _, site := range lastSites(m) {
		params := m.Sites()[site].Params()
		gradient := func(withheld float32, step uint32) (out []float32) {
			f, err := forward.Activation(m, forward.Options{Sigma: 0.01, Sites: []int{site}, Noise: src,
				Surrogate: wrong{m: m, withheld: withheld}})
			if err != nil {
				t.Fatal(err)
			}
			estimate(t, m, asker{f}, b, step, []int{1, 2, 1, 3}, nil, nil)
			for _, p := range params {
				out = append(out, m.Params()[p].Grad...)
			}
			return out
		}
		none, half, all, other := gradient(0, 1), gradient(0.5, 1), gradient(1, 1), gradient(1, 2)
		differ := false
		for i := range none {
			if d := float64(half[i] - (none[i]+all[i])/2); math.Abs(d) > 1e-5*(1+math.Abs(float64(none[i]))) {
				t.Fatalf("%s: %v with half of it withheld, %v and %v with none and all", m.Sites()[site].Name, half[i], none[i],
					all[i])
			}
			if all[i] != other[i] {
				t.Fatalf("%s: the noise of a step is in a gradient that is predicted alone", m.Sites()[site].Name)
			}
			differ = differ || none[i] != all[i]
		}
		if !differ {
			t.Errorf("%s: nothing was withheld", m.Sites()[site].Name)
		}
	}
}

// TestLearnsFromOutputs: where the outputs are linear in every anchor, the Jacobian that
// is learned from the outputs of queries leaves nothing of what they say, and sooner than
// from losses.
func TestLearnsFromOutputs(t *testing.T) {
	e := vit.DINOv2(tinyArch, 2, false)
	e.FinalNorm, e.Scaled = false, false
	m, b, src := network(t, e, true)
	var order []int // the branch of attention last, when that of the feed-forward layer adds nothing
	for _, kind := range []string{vit.MLPIn, vit.MLPOut, vit.Value} {
		for _, site := range lastSites(m) {
			if m.Sites()[site].Kind == kind {
				order = append(order, site)
			}
		}
	}
	for _, site := range order {
		s := m.Sites()[site]
		if s.Kind == vit.Value {
			clear(m.Params()[m.Sites()[order[1]].Weight].Data)
			m.Reload()
		}
		left := map[string]float64{}
		for _, from := range []string{"losses", "outputs"} {
			own := settings.Values{"surrogate_from": from, "exact_output": false}
			a, err := newAsker("activation", m, Options{Sigma: 1e-3, Sites: []int{site}, Noise: src, Own: own})
			if err != nil {
				t.Fatal(err)
			}
			for step := range uint32(60) {
				st, r, _ := estimate(t, m, a, b, step, []int{8, 8, 8, 8}, nil, nil)
				if err := a.Learn(st, r.Records); err != nil {
					t.Fatal(err)
				}
			}
			left[from] = Predictor(a).Residuals()[site].Share
		}
		if !(left["outputs"] < 0.05 && left["outputs"] < left["losses"]) {
			t.Errorf("%s: %.3g is left when learned from outputs, %.3g from losses", s.Name, left["outputs"], left["losses"])
		}
	}
}

// TestOutputsRefused: where nothing could be learned from outputs, that is said.
func TestOutputsRefused(t *testing.T) {
	m, _, src := tiny(t, true)
	for _, o := range []Options{{Schedule: "joint", Sites: lastSites(m)}, {Sites: []int{1}}} {
		o.Sigma, o.Noise, o.Own = 0.01, src, settings.Values{"surrogate_from": "outputs"}
		if _, err := New("activation", m, o); err == nil || !strings.Contains(err.Error(), "surrogate_from") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
