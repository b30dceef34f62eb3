package texts

import (
	"context"
	"math"
	"testing"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/noise"
)

// still is a network whose embeddings are the pixels.
type still struct {
	query.Model
	asked int
}

func (s *still) Evaluate(_ context.Context, b *forward.Batch) (*forward.Clean, error) {
	s.asked += b.Size
	k := len(b.Inputs) / b.Size
	return &forward.Clean{Logits: append([]float32{}, b.Inputs...), Classes: k}, nil
}

func (s *still) ForwardFLOPs() int64 { return 7 }
func (s *still) Close() error        { return nil }

// learned is a model of a few images and classes, and a batch.
func learned(t *testing.T, dir string, shape func(Start) func(int, int, func(string) ([]float32, error)) (Shape, error),
	o Options) (*Model, *still, *forward.Batch) {
	t.Helper()
	o.Noise, o.Threads = noise.Gaussian(3), 1
	if o.Loss == nil {
		o.Loss = objective.CE{}
	}
	images := &still{}
	m, err := Learn(images, dir, []string{"cat", "dog", "red house"}, shape(Start{Count: o.Count, Seed: 5}), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	r := noise.Rand(1, noise.Test)
	for _, p := range m.params {
		for i := range p.Data {
			p.Data[i] += float32(0.3 * r.Normal())
		}
		p.Grad = make([]float32, len(p.Data))
	}
	b := &forward.Batch{Size: 5, Labels: []int32{0, 1, 2, 1, 0}, Index: []int32{7, 3, 9, 1, 0}}
	r = noise.Rand(2, noise.Test)
	for range b.Size * m.tower.Width() {
		b.Inputs = append(b.Inputs, float32(r.Normal()))
	}
	return m, images, b
}

func inPlain(s Start) func(int, int, func(string) ([]float32, error)) (Shape, error) { return Plain(s) }

func inSubspace(s Start) func(int, int, func(string) ([]float32, error)) (Shape, error) {
	return Subspace(s, 2, 12)
}

// The gradient is that of central differences of the loss, by every number, of a
// context shared and of one for each class, plain and in a subspace, in both towers.
func TestLearnedBackward(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		dir   string
		shape func(Start) func(int, int, func(string) ([]float32, error)) (Shape, error)
		o     Options
	}{
		"shared":           {"clip", inPlain, Options{Count: 3}},
		"per class":        {"clip", inPlain, Options{Count: 2, PerClass: true}},
		"largest id":       {"clip-eos2", inPlain, Options{Count: 3}},
		"SigLIP":           {"siglip", inPlain, Options{Count: 3}},
		"subspace":         {"clip", inSubspace, Options{Count: 3}},
		"SigLIP, subspace": {"siglip", inSubspace, Options{Count: 2, PerClass: true}},
	} {
		t.Run(name, func(t *testing.T) {
			m, _, b := learned(t, "../../testdata/texts/"+c.dir, c.shape, c.o)
			if _, err := m.Backward(ctx, b); err != nil {
				t.Fatal(err)
			}
			loss := func() float64 {
				m.Touch()
				out, err := m.Evaluate(ctx, b)
				if err != nil {
					t.Fatal(err)
				}
				var sum float64
				for _, l := range out.Losses {
					sum += float64(l)
				}
				return sum / float64(b.Size)
			}
			var top float64
			for _, p := range m.params {
				for _, g := range p.Grad {
					top = max(top, math.Abs(float64(g)))
				}
			}
			for _, p := range m.params {
				for i := range p.Data {
					was, h := p.Data[i], float32(1e-2)
					p.Data[i] = was + h
					up := loss()
					p.Data[i] = was - h
					down := loss()
					p.Data[i] = was
					want := (up - down) / float64(2*h)
					// float32 losses of about 1 over a step of 2e-2, and its third order
					if got := float64(p.Grad[i]); math.Abs(got-want) > 0.02*top+3e-5 {
						t.Errorf("%s, number %d: %v, by differences %v", p.Name, i, got, want)
					}
				}
			}
		})
	}
}

// The mean of many estimates by queries is the gradient, within four standard errors,
// with the losses and with the exact slope at the logits.
func TestLearnedUnbiased(t *testing.T) {
	ctx := context.Background()
	for name, exact := range map[string]bool{"losses": false, "exact": true} {
		m, _, b := learned(t, "../../testdata/texts/clip", inSubspace, Options{Count: 3, Exact: exact})
		if _, err := m.Backward(ctx, b); err != nil {
			t.Fatal(err)
		}
		want := append([]float32{}, m.params[0].Grad...)
		e, err := forward.Weight(m, forward.Options{Antithetic: true, Sigma: 1e-2, Params: []int{0}})
		if err != nil {
			t.Fatal(err)
		}
		const runs = 300
		a := alloc.NewUniform(alloc.Limits{Least: 2, Even: true})
		var of testkit.Moments
		for range runs {
			if _, err := e.Step(ctx, b, a, 8*b.Size); err != nil {
				t.Fatal(err)
			}
			of.Add(m.params[0].Grad)
		}
		for i, w := range want {
			mean, v, _ := of.At(i)
			se := math.Sqrt(v / runs)
			if math.Abs(mean-float64(w)) > 4*se+1e-4 {
				t.Errorf("%s: number %d: mean %v ± %v, gradient %v", name, i, mean, se, w)
			}
		}
	}
}

// A query asks the texts of the classes, once for all images, and no image; an image
// is asked once.
func TestLearnedCounts(t *testing.T) {
	ctx := context.Background()
	m, images, b := learned(t, "../../testdata/texts/clip", inPlain, Options{Count: 3, Keep: true})
	p, err := m.Clean(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.counts; got != (Counts{Images: 5, Texts: 3}) {
		t.Errorf("a clean pass: %+v", got)
	}
	var q []forward.Query
	for i := range b.Size {
		for pair := range 2 {
			q = append(q, forward.Query{Image: int32(i), Pair: int32(pair), Sign: 1},
				forward.Query{Image: int32(i), Pair: int32(pair), Sign: -1})
		}
	}
	per := &forward.Perturbation{Kind: forward.Weights, Sigma: []float32{0.1}, Params: []int{0}}
	if err := p.Losses(ctx, per, q, make([]float32, len(q))); err != nil {
		t.Fatal(err)
	}
	if got := m.counts; got != (Counts{Images: 5, Texts: 3 + 4*3}) {
		t.Errorf("four directions: %+v", got)
	}
	m.Touch()
	if _, err := m.Clean(ctx, b, nil); err != nil || images.asked != 5 {
		t.Errorf("the same images again: %d asked, %v", images.asked, err)
	}
	if got, want := m.Spent(), int64(5+3+12+3); got != want {
		t.Errorf("spent %d, want %d", got, want)
	}
	if m.StepQueries([]forward.Perturbation{*per}, 4) != 3+12 {
		t.Errorf("a step is forecast to cost %d", m.StepQueries([]forward.Perturbation{*per}, 4))
	}
	if flops := m.SpentFLOPs(); flops != 5*7+18*m.tower.model.ForwardFLOPs() {
		t.Errorf("%d operations", flops)
	}
	if err := p.Losses(ctx, per, q, make([]float32, len(q))); err != forward.ErrStale {
		t.Errorf("an old pass: %v", err)
	}
}

// At θ = 0 a subspace is the start; words begin it as their embeddings.
func TestStart(t *testing.T) {
	o := Options{Count: 4, Loss: objective.CE{}, Noise: noise.Gaussian(1)}
	words := "a photo of a"
	for _, shape := range []func(int, int, func(string) ([]float32, error)) (Shape, error){
		Plain(Start{Words: words, Count: 4}), Subspace(Start{Words: words, Count: 4}, 2, 30)} {
		m, err := Learn(&still{}, "../../testdata/texts/clip", []string{"cat", "dog"}, shape, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Classes(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		want, err := m.tower.Classes(context.Background(), []string{"cat", "dog"}, []string{words + " {}."})
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if math.Abs(float64(got[i]-want[i])) > 1e-5 {
				t.Errorf("value %d: %v, the prompt in words has %v", i, got[i], want[i])
			}
		}
	}
	if _, err := Learn(&still{}, "../../testdata/texts/clip", []string{"cat"}, Plain(Start{Words: "a cat", Count: 4}), o,
		nil); err == nil {
		t.Error("words of another number were taken")
	}
	o.Count = 31
	_, err := Learn(&still{}, "../../testdata/texts/clip", []string{"cat"}, Plain(Start{Count: 31}), o, nil)
	if err == nil {
		t.Error("a context longer than a text was taken")
	}
}
