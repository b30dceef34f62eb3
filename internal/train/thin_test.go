package train

import (
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/testkit"
)

// adapted is an experiment whose every map of two blocks has an adapter or a core, with
// numbers in it that change what the network computes.
func adapted(t *testing.T, c config.Config, part string) *Experiment {
	t.Helper()
	c.Sites.Train = part
	rank := map[string]int{"lora": 1, "core": 2}[part] // of maps of 8 by 8
	c.Sites.Own = parts.Targets.With(parts.Rank.With(c.Sites.Own, rank),
		[]string{"query", "key", "value", "attn_out", "mlp_in", "mlp_out"})
	x := open(t, c)
	for i, p := range x.adapters.Params() {
		copy(p.Data, testkit.Fill(len(p.Data), float64(i)))
	}
	x.adapters.Merge()
	x.Model.Touch()
	return x
}

// gradients makes those of an experiment's first step.
func gradients(t *testing.T, x *Experiment) {
	t.Helper()
	tr := NewTrainer(x)
	b, err := tr.batch()
	if err != nil {
		t.Fatal(err)
	}
	_, _, params, err := tr.ask(t.Context(), b, x.Config.PassQueries())
	if err != nil {
		t.Fatal(err)
	}
	var with []*forward.Param
	for _, i := range params {
		with = append(with, x.Model.Params()[i])
	}
	x.adapters.Through(with)
}

// TestThinGradients: by backpropagation and by local feedback, whatever rows and
// derivatives it uses, an adapted weight has no gradient of its size, and the gradients by
// what is learned beside it are those that follow from one: that of the same network
// whose weights themselves are trained.
func TestThinGradients(t *testing.T) {
	local := func(own settings.Values) settings.Values {
		return lr.Surrogate.With(lr.LearnSigma.With(own, false), "local")
	}
	for name, own := range map[string]func(settings.Values) settings.Values{
		"bp": nil, "rows drawn": local,
		"rows all":  func(v settings.Values) settings.Values { return lr.FeedbackRows.With(local(v), "all") },
		"rows read": func(v settings.Values) settings.Values { return lr.FeedbackRows.With(local(v), "read") },
		"linear":    func(v settings.Values) settings.Values { return lr.FeedbackDerivative.With(local(v), "linear") },
		"none":      func(v settings.Values) settings.Values { return lr.FeedbackDerivative.With(local(v), "none") },
	} {
		c := tiny()
		c.Estimator.Antithetic, c.Allocator.Name, c.Budget.QueriesPerImage = false, "uniform", 1
		if c.Allocator.MinQueries = 1; own == nil {
			c.Estimator.Name, c.Estimator.Own = "bp", lr.LearnSigma.With(c.Estimator.Own, false)
		} else {
			c.Sites.Kinds, c.Estimator.Own = []string{"residual"}, own(c.Estimator.Own)
		}
		for _, part := range []string{"lora", "core"} {
			x := adapted(t, c, part)
			whole := c
			whole.Sites.Train = "all"
			y := open(t, whole)
			for i, p := range x.Model.Params() {
				copy(y.Model.Params()[i].Data, p.Data)
				if w := x.adapters.Merged(p.Name, nil); w != nil {
					if slices.Equal(w, p.Data) {
						t.Fatalf("%s, %s: %s holds what its adapter made of it", name, part, p.Name)
					}
					copy(y.Model.Params()[i].Data, w)
				}
			}
			y.Model.Touch()
			computesAlike(t, x, y)
			gradients(t, x)
			gradients(t, y)
			size := 0.0
			for _, i := range x.Selection.Adapted {
				w, g := x.Model.Params()[i], y.Model.Params()[i].Grad
				if len(w.Grad) >= len(w.Data) {
					t.Fatalf("%s, %s: %s has a gradient of %d numbers", name, part, w.Name, len(w.Grad))
				}
				for p, want := range byWeight(x, i, g) {
					for k, v := range want {
						got := float64(p.Grad[k])
						if size = max(size, math.Abs(got)); math.Abs(got-v) > 1e-5*(1+math.Abs(v)) {
							t.Fatalf("%s, %s: %s[%d] is %v, want %v", name, part, p.Name, k, got, v)
						}
					}
				}
			}
			if size == 0 {
				t.Errorf("%s, %s: no gradient", name, part)
			}
			if a, b := x.StepCost(0).FLOPs, y.StepCost(0).FLOPs; a >= b {
				t.Errorf("%s, %s: a step of %d operations, of whole weights %d", name, part, a, b)
			}
		}
	}
}

// computesAlike wants two networks to answer with the same bits, before and after the one
// has given back what it packed.
func computesAlike(t *testing.T, x, y *Experiment) {
	t.Helper()
	b, err := x.Loader.Batch(3)
	testkit.Must(t, err)
	for range 2 {
		p, err := x.Model.Clean(t.Context(), b, nil)
		testkit.Must(t, err)
		q, err := y.Model.Clean(t.Context(), b, nil)
		testkit.Must(t, err)
		if !slices.Equal(p.Clean().Logits, q.Clean().Logits) {
			t.Fatal("the adapted network answers otherwise than that of the merged weights")
		}
		x.Model.(interface{ Unpack() }).Unpack()
	}
}

// byWeight are the gradients by what is learned beside a weight, of that by the weight.
func byWeight(x *Experiment, weight int, g []float32) map[*forward.Param][]float64 {
	w := x.Model.Params()[weight]
	out, r := w.Shape[0], parts.Rank.Of(x.Config.Sites.Own)
	in := len(w.Data) / out
	of := func(end string) *forward.Param {
		name := w.Name[:len(w.Name)-len("weight")] + end
		i := slices.IndexFunc(x.adapters.Params(), func(p *forward.Param) bool { return p.Name == name })
		return x.adapters.Params()[i]
	}
	sums := map[*forward.Param][]float64{}
	add := func(p *forward.Param, k int, v float64) {
		if sums[p] == nil {
			sums[p] = make([]float64, len(p.Data))
		}
		sums[p][k] += v
	}
	for o := range out {
		for i := range in {
			v := float64(g[o*in+i])
			for a := range r {
				if d, ok := x.cores.by[weight]; ok {
					for b := range r {
						add(of("core.weight"), a*r+b, float64(d.Left[a*out+o])*v*float64(d.Right[b*in+i]))
					}
					continue
				}
				A, B, scale := of("lora_A.weight"), of("lora_B.weight"), parts.Alpha.Of(x.Config.Sites.Own)/float64(r)
				add(A, a*in+i, scale*float64(B.Data[o*r+a])*v)
				add(B, o*r+a, scale*v*float64(A.Data[a*in+i]))
			}
		}
	}
	return sums
}

// TestWholeGradients: noise at the outputs of maps, and on weights, makes gradients of
// weights, which adapters then follow; and so do derivatives where factors are no less.
func TestWholeGradients(t *testing.T) {
	c := tiny()
	c.Estimator.Own = lr.LearnSigma.With(c.Estimator.Own, false)
	for _, name := range []string{"activation", "weight", "bp"} {
		c.Estimator.Name = name
		c.Sites.Own = nil
		x := adapted(t, c, "lora")
		if name == "bp" {
			c.Sites.Train, c.Sites.Own = "lora", parts.Rank.With(nil, 2) // 4·2·(8+8) for 2·8·8
			x = open(t, c)
		}
		gradients(t, x)
		for _, i := range x.Selection.Adapted {
			if w := x.Model.Params()[i]; len(w.Grad) != len(w.Data) {
				t.Errorf("%s: %s has a gradient of %d numbers", name, w.Name, len(w.Grad))
			}
		}
	}
}
