package measure

import (
	"context"
	"math"
	"testing"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// given is an allocator that always answers the same.
type given struct {
	alloc.Allocator
	name   string
	counts []int
}

func (g given) Name() string { return g.name }

func (g given) Allocate(alloc.Signals, int) ([]int, error) { return g.counts, nil }

// unweighted repeats image i n_i times without the 1/n_i weight, as the released
// code does: its coefficients count n_i/n̄ times.
type unweighted struct{ lr.Asker }

func (u unweighted) Accumulate(ctx context.Context, s *forward.Step, records []forward.Record) error {
	total := 0
	for _, n := range s.Counts {
		total += n
	}
	spoilt := make([]forward.Record, len(records))
	for k, r := range records {
		c := append([]float32(nil), r.Coefs...)
		j := 0
		for _, n := range s.Counts {
			for range n / 2 {
				c[j] *= float32(n*len(s.Counts)) / float32(total)
				j++
			}
		}
		spoilt[k] = forward.Record{Perturbation: r.Perturbation, Coefs: c}
	}
	return u.Asker.Accumulate(ctx, s, spoilt)
}

// bench is a small ViT whose last block is trained, on a batch of six random
// images, of which two are far from their label.
func bench(t *testing.T) *Bench { return benchOf(t, "per_site", true) }

// benchOf is bench with another way to ask.
func benchOf(t *testing.T, schedule string, antithetic bool) *Bench {
	t.Helper()
	return benchWith(t, schedule, antithetic, lr.Plain())
}

// benchWith is the same with settings of the estimator's own.
func benchWith(t *testing.T, schedule string, antithetic bool, own settings.Values) *Bench {
	t.Helper()
	return benchFor(t, "activation", schedule, antithetic, own)
}

// benchFor is the same by another estimator, which as weight perturbs what is trained.
func benchFor(t *testing.T, estimator, schedule string, antithetic bool, own settings.Values) *Bench {
	t.Helper()
	w, err := vit.NewWeights(vit.Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 16, Layers: 2, Heads: 2, MLP: 24,
		Classes: 3, Eps: 1e-6})
	if err != nil {
		t.Fatal(err)
	}
	w.Init(func(dst []float32, tensor int) {
		g := noise.Rand(7, noise.Init, uint32(tensor))
		for i := range dst {
			dst[i] = float32(g.Normal())
		}
	})
	for _, p := range w.Params() {
		if p.Name == "classifier.weight" || p.Role == "cls_token" || p.Role == "position" {
			for i := range p.Data {
				p.Data[i] *= 40
			}
		}
	}
	src := noise.Gaussian(11)
	loss, err := objective.New("cross_entropy")
	if err != nil {
		t.Fatal(err)
	}
	b := &forward.Batch{Size: 6, Inputs: make([]float32, 6*3*64), Labels: []int32{0, 1, 2, 1, 0, 2},
		Index: []int32{0, 1, 2, 3, 4, 5}}
	g := noise.Rand(5, noise.Test)
	for i := range b.Inputs {
		b.Inputs[i] = float32(g.Normal())
	}
	m := vit.NewModel(vit.NewNet(w), vit.Options{Threads: 2, Noise: src, Loss: loss, Mask: true})
	o := lr.Options{Schedule: schedule, Antithetic: antithetic, Sigma: 0.01, Noise: src, Own: own}
	var params []int
	for i, s := range m.Sites() {
		if s.Block == 1 && s.Kind != vit.Residual || s.Kind == "classifier" {
			o.Sites = append(o.Sites, i)
			params = append(params, s.Weight, s.Bias)
			for _, p := range []int{s.Weight, s.Bias} {
				m.Params()[p].Grad = make([]float32, len(m.Params()[p].Data))
			}
		}
	}
	if o.Params = params; estimator == "activation" {
		o.Params = nil
	}
	e, err := lr.New(estimator, m, o)
	if err != nil {
		t.Fatal(err)
	}
	asker := e.(lr.Asker)
	k, err := Start(context.Background(), m, asker, b, params, o.Sites, antithetic)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// study measures equal shares, shares by the square root of the variances that
// a probe of its own found, and a split that favours the wrong images.
func study(t *testing.T, k *Bench, draws int) []Row {
	t.Helper()
	const budget = 96
	spread, err := k.Probe(context.Background(), 64)
	if err != nil {
		t.Fatal(err)
	}
	V := spread.Images()
	root := make([]float64, len(V))
	against := make([]float64, len(V))
	for i, v := range V {
		root[i], against[i] = math.Sqrt(v), 1/math.Sqrt(v)
	}
	split := func(name string, w []float64) alloc.Allocator {
		counts, err := alloc.Round(w, budget, alloc.Limits{Least: 2, Even: true})
		if err != nil {
			t.Fatal(err)
		}
		return given{name: name, counts: counts}
	}
	equal := []float64{1, 1, 1, 1, 1, 1}
	b, err := k.Study(context.Background(),
		[]alloc.Allocator{split("uniform", equal), split("again", equal), split("optimal", root), split("wrong", against)},
		alloc.Signals{}, Options{Pairs: 256, Draws: draws, Budget: budget})
	if err != nil {
		t.Fatal(err)
	}
	return Summarise([]*Batch{b})
}

// TestPredictedAgreesWithMeasured: the variance that the probe predicts for a
// split is what repeated draws show. The tolerance is twice the 95% interval's
// half width on the logarithm, about four standard errors, of which 400 draws
// and 256 probe pairs make 0.1.
func TestPredictedAgreesWithMeasured(t *testing.T) {
	rows := study(t, bench(t), 400)
	for _, r := range rows[1:] {
		half := math.Log(r.CI95[1] / r.Measured)
		if d := math.Abs(math.Log(r.Predicted / r.Measured)); d > 2*half || half > 0.2 || half <= 0 {
			t.Errorf("%s: predicted %.3f, measured %.3f %.3f", r.Name, r.Predicted, r.Measured, r.CI95)
		}
	}
	if p := rows[1].Predicted; math.Abs(p-1) > 1e-9 {
		t.Errorf("equal shares against equal shares: %v", p)
	}
	if rows[2].Measured > 0.8 || rows[3].Measured < 1.2 {
		t.Errorf("the batch is too even to show anything: optimal %.3f, wrong %.3f", rows[2].Measured, rows[3].Measured)
	}
}

// TestReportShowsBias: by the report's own number, every split of the weighted
// estimate is unbiased within four standard errors, and the uneven splits of the
// estimate without 1/P_i are not, while equal shares are, which hide it.
func TestReportShowsBias(t *testing.T) {
	k := bench(t)
	away := func(r Row) float64 { return 1.96 * *r.Bias / (*r.Bias - r.BiasCI95[0]) }
	for _, r := range study(t, k, 200) {
		if math.Abs(away(r)) > 4 {
			t.Errorf("weighted, %s: squared bias %.4f %.4f", r.Name, *r.Bias, r.BiasCI95)
		}
	}
	k.Estimator = unweighted{k.Estimator}
	for _, r := range study(t, k, 200) {
		biased := away(r) > 4
		if uneven := r.Name == "optimal" || r.Name == "wrong"; biased != uneven {
			t.Errorf("without 1/P_i, %s: squared bias %.4f %.4f, %.1f standard errors", r.Name, *r.Bias, r.BiasCI95, away(r))
		}
	}
}

// The estimate of the squared bias is 0 in the mean for draws around the
// reference, and the squared distance for draws around another point.
func TestBiasOf(t *testing.T) {
	g := noise.Rand(3, noise.Test)
	ref := []float32{3, 4}
	for _, shift := range []float32{0, 5} {
		var sum, n float64
		for range 400 {
			var draws [][]float32
			for range 8 {
				draws = append(draws, []float32{ref[0] + shift + float32(g.Normal()), ref[1] + float32(g.Normal())})
			}
			sum, n = sum+biasOf(draws, ref).value, n+1
		}
		want := float64(shift*shift) / 25
		if got := sum / n; math.Abs(got-want) > 0.03 { // standard error 0.008
			t.Errorf("shift %v: %.4f, want %.4f", shift, got, want)
		}
	}
}

// TestSites: at every site the cosine of the mean of many draws is that of an unbiased
// estimate with the noise that was measured, within the spread of 400 draws; shares of
// the variance sum to 1; the classifier, whose gradient is known, has none.
func TestSites(t *testing.T) {
	k := benchWith(t, "per_site", false, settings.Values{"exact_output": true, "surrogate": "linear"})
	ref, err := k.Reference(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	give := func(s *lr.Step) error { s.Counts = []int{1, 2, 4, 1, 1, 3}; return nil }
	if k.Pass, err = k.Model.Clean(t.Context(), k.Batch, k.Estimator.Sites(0)); err != nil {
		t.Fatal(err)
	}
	sites, err := k.Sites(t.Context(), give, 400, ref)
	if err != nil || len(sites) != 7 {
		t.Fatal(sites, err)
	}
	var sum float64
	for _, s := range sites {
		sum += s.Share
		if d := math.Abs(*s.Mean - *s.Unbiased); d > 0.05 || *s.Mean < *s.Cosine {
			t.Errorf("%s: cosine %.3f, of the mean %.3f, without bias %.3f", s.Name, *s.Cosine, *s.Mean, *s.Unbiased)
		}
		if s.Name == "classifier" && (*s.Noise != 0 || *s.Cosine < 0.99999 || s.Share != 0) {
			t.Errorf("the classifier: %+v", s)
		}
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("shares of the variance sum to %v", sum)
	}
}

// TestDirectionsSumToTheImage: the gradients of an image's directions, taken one
// by one as the probe takes them, sum to the gradient of all of them, whatever a
// record holds of a direction: one coefficient or, of joint pairs, two.
func TestDirectionsSumToTheImage(t *testing.T) {
	const pairs, image = 3, 1
	for _, schedule := range []string{"per_site", "joint", "random_site"} {
		for _, antithetic := range []bool{true, false} {
			k := benchOf(t, schedule, antithetic)
			counts := make([]int, k.Batch.Size)
			for i := range counts {
				counts[i] = pairs * k.PerPair
			}
			s := k.next(counts)
			r, err := k.Estimator.Ask(t.Context(), k.Model, &s.Step)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.still(t.Context(), s, r.Records); err != nil {
				t.Fatal(err)
			}
			gradient := func(pair int) []float32 {
				if _, err := k.norm2(t.Context(), s, r.Records, image, pair); err != nil {
					t.Fatal(err)
				}
				return k.gradient(nil)
			}
			all, sum := gradient(-1), make([]float64, 0)
			for p := range pairs {
				for i, g := range gradient(p) {
					if p == 0 {
						sum = append(sum, 0)
					}
					sum[i] += float64(g)
				}
			}
			var off, size float64
			for i, g := range all {
				off, size = max(off, math.Abs(sum[i]-float64(g))), max(size, math.Abs(float64(g)))
			}
			if size == 0 || off > 1e-5*size {
				t.Errorf("%s, antithetic %v: the directions' sum is off by %g of %g", schedule, antithetic, off, size)
			}
		}
	}
}
