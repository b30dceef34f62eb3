package remote

import (
	"context"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/prompt"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/noise"
)

// prompted is a model behind a frame, with a batch of five images.
func prompted(t *testing.T, mode string) (*Model, *flaky, *forward.Batch, noise.Source) {
	t.Helper()
	f := &flaky{linear: small()}
	frame, err := prompt.NewFrame(mode, 1, 1, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	copy(frame.Param.Data, normals(len(frame.Param.Data), 8))
	frame.Param.Grad = make([]float32, len(frame.Param.Data))
	m, err := prompt.Given([]int{2, 0}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	src := noise.Gaussian(5)
	p := newPool(t, f, quick(), NewMeter(0, Counts{}), newMemory())
	r, err := NewModel(p, frame, m, objective.CE{}, src)
	if err != nil {
		t.Fatal(err)
	}
	b := &forward.Batch{Size: 5, Inputs: normals(5*12, 9), Labels: []int32{0, 1, 1, 0, 1}, Index: []int32{0, 1, 2,
		3, 4}}
	return r, f, b, src
}

// TestModelLosses: the loss of every query is that of its image behind
// θ + sign·σ·z, for any allocation, and the clean pass is σ = 0.
func TestModelLosses(t *testing.T) {
	for _, mode := range []string{prompt.Over, prompt.Around} {
		m, f, b, src := prompted(t, mode)
		ctx := context.Background()
		pass, err := m.Clean(ctx, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := pass.Clean()
		q := []forward.Query{{Image: 0, Pair: 0, Sign: 1}, {Image: 0, Pair: 0, Sign: -1}, {Image: 0, Pair: 1,
			Sign: 1}, {Image: 0, Pair: 1, Sign: -1},
			{Image: 3, Pair: 0, Sign: 1}, {Image: 3, Pair: 0, Sign: -1}, {Image: 4, Pair: 0, Sign: 1}}
		p := &forward.Perturbation{Kind: forward.Weights, Step: 17, Params: []int{0}, Sigma: []float32{0.1}}
		got := make([]float32, len(q))
		if err := pass.Losses(ctx, p, q, got); err != nil {
			t.Fatal(err)
		}
		if f.asked.Load() != int64(b.Size+len(q)) {
			t.Errorf("%d images asked for %d", f.asked.Load(), b.Size+len(q))
		}
		theta := slices.Clone(m.frame.Trained().Data)
		loss := func(image int) float32 {
			one := &forward.Batch{Size: 1, Inputs: b.Inputs[image*12 : image*12+12], Labels: b.Labels[image : image+1]}
			c, err := m.Evaluate(ctx, one)
			if err != nil {
				t.Fatal(err)
			}
			return c.Losses[0]
		}
		for i := range b.Size {
			if want := loss(i); c.Losses[i] != want {
				t.Errorf("image %d: clean loss %v, evaluated %v", i, c.Losses[i], want)
			}
		}
		for j, x := range q {
			src.AddScaled(m.frame.Trained().Data, theta, float32(x.Sign)*0.1, noise.Counter{Step: 17,
				Site: forward.WeightSite, Pair: uint32(x.Pair)}, 0)
			if want := loss(int(x.Image)); got[j] != want {
				t.Errorf("%s, query %+v: loss %v, want %v", mode, x, got[j], want)
			}
		}
		if asked := f.asked.Load(); asked != int64(b.Size+len(q)) {
			t.Errorf("asked again for %d images whose answers were known", asked-int64(b.Size+len(q)))
		}
	}
}

// TestModelGradient: antithetic pairs averaged over many directions agree with
// finite differences of the mean loss along a fixed direction, within 4.5
// standard errors.
func TestModelGradient(t *testing.T) {
	m, _, b, _ := prompted(t, prompt.Over)
	ctx := context.Background()
	pass, err := m.Clean(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	u := normals(len(m.frame.Trained().Data), 10)
	const sigma, pairs, steps = 0.01, 8, 60
	var q []forward.Query
	for i := range b.Size {
		for p := range pairs {
			q = append(q, forward.Query{Image: int32(i), Pair: int32(p), Sign: 1}, forward.Query{Image: int32(i),
				Pair: int32(p), Sign: -1})
		}
	}
	out := make([]float32, len(q))
	var n, sum, sq float64
	for step := range steps {
		p := &forward.Perturbation{Kind: forward.Weights, Step: uint32(step), Params: []int{0}, Sigma: []float32{sigma}}
		if err := pass.Losses(ctx, p, q, out); err != nil {
			t.Fatal(err)
		}
		var terms []forward.Term
		for j := 0; j < len(q); j += 2 {
			terms = append(terms, forward.Term{Image: q[j].Image, Pair: q[j].Pair,
				Coef: (out[j] - out[j+1]) / (2 * sigma) / float32(b.Size*pairs)})
		}
		clear(m.frame.Trained().Grad)
		if err := pass.Accumulate(ctx, p, terms); err != nil {
			t.Fatal(err)
		}
		var v float64
		for j, g := range m.frame.Trained().Grad {
			v += float64(g) * float64(u[j])
		}
		n, sum, sq = n+1, sum+v, sq+v*v
	}
	theta := slices.Clone(m.frame.Trained().Data)
	at := func(h float32) float64 {
		for j := range theta {
			m.frame.Trained().Data[j] = theta[j] + h*u[j]
		}
		c, err := m.Evaluate(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		var s float64
		for _, l := range c.Losses {
			s += float64(l)
		}
		return s / float64(b.Size)
	}
	want := (at(1e-2) - at(-1e-2)) / 2e-2
	mean := sum / n
	se := math.Sqrt((sq/n - mean*mean) / (n - 1))
	if math.Abs(mean-want) > 4.5*se || se > math.Abs(want) {
		t.Errorf("mean %v ± %v, finite difference %v", mean, se, want)
	}
}

// TestModelExact: of a model whose answers are linear in its pixels, single directions
// answered by the exact slope have the gradient as their mean however large the noise is,
// as losses have not, and vary less.
func TestModelExact(t *testing.T) {
	const sigma, steps = 0.3, 4000
	run := func(exact bool) (of testkit.Moments, all float64, m *Model, b *forward.Batch) {
		m, _, b, _ = prompted(t, prompt.Over)
		if exact {
			m.Exactly()
		}
		pass, err := m.Clean(t.Context(), b, nil)
		if err != nil {
			t.Fatal(err)
		}
		grad := m.frame.Trained().Grad
		var q []forward.Query
		for i := range b.Size {
			q = append(q, forward.Query{Image: int32(i), Sign: 1})
		}
		out := make([]float32, len(q))
		for step := range steps {
			p := &forward.Perturbation{Kind: forward.Weights, Step: uint32(step), Params: []int{0}, Sigma: []float32{sigma}}
			if err := pass.Losses(t.Context(), p, q, out); err != nil {
				t.Fatal(err)
			}
			var c float32
			for i, l := range out {
				c += (l - pass.Clean().Losses[i]) / sigma / float32(b.Size)
			}
			clear(grad)
			if err := pass.Accumulate(t.Context(), p, []forward.Term{{Coef: c}}); err != nil {
				t.Fatal(err)
			}
			of.Add(grad)
		}
		for j := range grad {
			_, v, _ := of.At(j)
			all += v
		}
		return of, all, m, b
	}
	of, straight, m, b := run(true)
	data := m.frame.Trained().Data
	for j := range data {
		at := func(h float32) (sum float64) {
			was := data[j]
			data[j] = was + h
			c, err := m.Evaluate(t.Context(), b)
			data[j] = was
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range c.Losses {
				sum += float64(l)
			}
			return sum / float64(b.Size)
		}
		mean, _, se := of.At(j)
		if want := (at(1e-2) - at(-1e-2)) / 2e-2; math.Abs(mean-want) > 4.5*se+1e-3 {
			t.Errorf("pixel %d: mean %v ± %v, by differences %v", j, mean, se, want)
		}
	}
	_, bent, _, _ := run(false)
	t.Logf("variance of losses %.3g, of slopes %.3g", bent, straight)
	if !(straight < 0.9*bent) {
		t.Errorf("slopes vary by %v, losses by %v", straight, bent)
	}
}

func TestModelMapping(t *testing.T) {
	m, _, b, _ := prompted(t, prompt.Over)
	if err := m.LearnMapping(context.Background(), b, 2, prompt.Frequent); err != nil {
		t.Fatal(err)
	}
	logits, _ := small().Logits(context.Background(), b.Inputs, b.Size)
	want, err := prompt.Frequent(logits, 3, b.Labels, 2)
	if err != nil || !reflect.DeepEqual(m.Mapping(), want) {
		t.Errorf("mapping %v, want %v (%v)", m.Mapping(), want, err)
	}
	if m.Pool().Counts().Images != 5 {
		t.Errorf("counted %+v", m.Pool().Counts())
	}
}

func TestModelRefuses(t *testing.T) {
	m, _, b, src := prompted(t, prompt.Over)
	ctx := context.Background()
	out, q := make([]float32, 1), []forward.Query{{}}
	weight := &forward.Perturbation{Kind: forward.Weights, Params: []int{0}, Sigma: []float32{1}}
	stale, err := m.Clean(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	pass, err := m.Clean(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := stale.Losses(ctx, weight, q, out); err != forward.ErrStale {
		t.Errorf("an earlier pass is asked: %v", err)
	}
	if _, err := m.Clean(ctx, b, []int{0}); err == nil {
		t.Error("a site was taken")
	}
	userError(t, pass.Losses(ctx, &forward.Perturbation{Kind: forward.Activations, Sites: []int{0},
		Sigma: []float32{1}}, q, out), "estimator.name")
	_, err = m.Clean(ctx, &forward.Batch{Size: 2, Inputs: make([]float32, 12), Labels: []int32{0, 1}}, nil)
	userError(t, err, "data", "1×4×3")
	id, err := prompt.Identity(2, 2)
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewModel(m.pool, nil, id, objective.CE{}, src)
	userError(t, err, "prompt.mapping", "3")
	frame, err := prompt.NewFrame(prompt.Over, 1, 3, 4, 4)
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewModel(m.pool, frame, m.Mapping(), objective.CE{}, src)
	userError(t, err, "prompt", "3×4×4")
	con, err := objective.NewContrastive(objective.Options{Texts: []float32{1}, Width: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewModel(m.pool, nil, m.Mapping(), con, src)
	userError(t, err, "objective.kind")
	bare, err := NewModel(m.pool, nil, m.Mapping(), objective.Accuracy{}, src)
	if err != nil {
		t.Fatal(err)
	}
	pass, err = bare.Clean(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	userError(t, pass.Losses(ctx, weight, q, out), "prompt.kind")
	if c, err := bare.Evaluate(ctx, b); err != nil || len(c.Losses) != 5 || c.Classes != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}
