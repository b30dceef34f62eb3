// Package measure weighs allocations against each other on the real gradient:
// the variance that a budget's split predicts, the variance that repeated draws
// show, and the angle to the backpropagation gradient. It asks queries of its
// own, with noise that no training step uses, and learns nothing.
package measure

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/query"
)

// firstStep is the noise counter's step of the first measurement. Training
// never comes near it, so no query is asked twice.
const firstStep = 1 << 30

// Bench is a batch on which allocations are measured.
type Bench struct {
	Model     query.Model
	Estimator lr.Asker
	Batch     *forward.Batch
	Pass      forward.Pass
	Params    []int // trained parameters
	PerPair   int   // queries of a direction: 2 for antithetic pairs, else 1
	sites     []int // whose clean activations the pass keeps
	// Narrow leaves of Param.Grad what the trained parameters can follow; nil: they follow all
	Narrow func()

	step uint32
	base []float32 // see still
}

// Start runs the clean pass of a batch, with the activations of every site that
// a draw may ask at: an estimator that draws its sites has others at each draw, and one may
// need more than those that are trained.
// Of two benches on one model, only the later can be used: the other's pass is
// stale.
func Start(ctx context.Context, m query.Model, e lr.Asker, b *forward.Batch, params, sites []int,
	antithetic bool) (*Bench, error) {
	k := &Bench{Model: m, Estimator: e, Batch: b, Params: params, PerPair: 1, step: firstStep}
	if antithetic {
		k.PerPair = 2
	}
	if own := e.Sites(0); len(own) > 0 {
		k.sites = slices.Compact(slices.Sorted(slices.Values(slices.Concat(sites, own))))
	}
	return k, k.Again(ctx)
}

// Again runs that pass again, where another one of the model may have taken its place.
func (k *Bench) Again(ctx context.Context) (err error) {
	k.Pass, err = k.Model.Clean(ctx, k.Batch, k.sites)
	return err
}

// clearGrads zeroes the gradient.
func (k *Bench) clearGrads() {
	for _, i := range k.Params {
		clear(k.Model.Params()[i].Grad)
	}
}

// gradient copies the gradient into dst, parameter after parameter.
func (k *Bench) gradient(dst []float32) []float32 {
	dst = dst[:0]
	if k.Narrow != nil {
		k.Narrow()
	}
	for _, i := range k.Params {
		dst = append(dst, k.Model.Params()[i].Grad...)
	}
	return dst
}

// next is a step that asks of the batch, with noise of its own.
func (k *Bench) next(counts []int) *lr.Step {
	k.step++
	s := lr.On(k.Pass, k.step-1, k.Batch)
	s.Counts = counts
	return s
}

// Draw is the gradient that one set of queries gives.
func (k *Bench) Draw(ctx context.Context, counts []int, dst []float32) ([]float32, error) {
	return k.drawn(ctx, k.next(counts), dst)
}

// drawn is the gradient of one step's queries.
func (k *Bench) drawn(ctx context.Context, s *lr.Step, dst []float32) ([]float32, error) {
	r, err := lr.Ask(ctx, k.Model, k.Estimator, s)
	if err != nil {
		return nil, err
	}
	k.clearGrads()
	if _, err := lr.Apply(ctx, k.Model, k.Estimator, s, r.Records); err != nil {
		return nil, err
	}
	return k.gradient(dst), nil
}

// still makes the gradient that a step has where no query says anything but what was
// predicted of it: what is known or predicted alone.
func (k *Bench) still(ctx context.Context, s *lr.Step, records []forward.Record) error {
	k.clearGrads()
	if _, err := lr.Apply(ctx, k.Model, k.Estimator, s, records); err != nil { // fills what is left of the coefficients
		return err
	}
	k.clearGrads()
	_, err := lr.Apply(ctx, k.Model, k.Estimator, s, k.only(s, records, -1, -1))
	k.base = k.gradient(k.base)
	return err
}

// norm2 is the squared norm of what one direction of an image adds to that gradient, or
// all of its directions where pair is -1.
func (k *Bench) norm2(ctx context.Context, s *lr.Step, records []forward.Record, image, pair int) (float64, error) {
	k.clearGrads()
	if _, err := lr.Apply(ctx, k.Model, k.Estimator, s, k.only(s, records, image, pair)); err != nil {
		return 0, err
	}
	var sq float64
	at := 0
	for _, i := range k.Params {
		for _, g := range k.Model.Params()[i].Grad {
			d := float64(g) - float64(k.base[at])
			sq += d * d
			at++
		}
	}
	return sq, nil
}

// only keeps the coefficients of one direction (or image, where pair is -1; or none,
// where image is -1) and puts what was predicted of them in place of the rest, and of
// all directions that images share. Every image has the same number of directions.
func (k *Bench) only(s *lr.Step, records []forward.Record, image, pair int) []forward.Record {
	out := make([]forward.Record, len(records))
	for j, r := range records {
		per, c := len(r.Coefs)/k.Batch.Size, r.Predicted(s.Clean)
		width := r.PerDirection(k.PerPair == 2)
		if r.Wide() {
			width = s.Clean.Classes
		}
		out[j] = forward.Record{Perturbation: r.Perturbation, Coefs: c, Share: r.Share}
		if image < 0 || len(c) == 0 || r.Perturbation.Kind == forward.Weights {
			continue
		}
		lo, hi := image*per, (image+1)*per
		if pair >= 0 {
			lo, hi = lo+pair*width, lo+(pair+1)*width
		}
		copy(c[lo:hi], r.Coefs[lo:hi])
	}
	return out
}

// Result is one allocator on one batch.
type Result struct {
	Name      string
	Counts    []int   // of the first draw
	Predicted float64 // variance that a probe predicts against equal shares, mean over the draws' allocations
	Variance  float64 // Σ over parameters, of the gradient over the draws
	Cosine    float64 // of a draw to the backpropagation gradient, mean over the draws
	Seconds   float64 // of the allocator itself, per allocation
	Queries   int64   // asked by the draws
	d         []float64
	bias      []bias // one per batch; none without a reference
}

// Measure draws the gradient again and again under an allocator. Every draw has
// its own noise and, where the allocator samples, its own allocation. reference
// is the backpropagation gradient, or nil.
func (k *Bench) Measure(ctx context.Context, a alloc.Allocator, sig alloc.Signals, budget, draws int, v *Spread,
	reference []float32) (*Result, error) {
	r := &Result{Name: a.Name()}
	grads := make([][]float32, draws)
	for j := range draws {
		sig.Step = firstStep + j
		began := time.Now()
		counts, err := a.Allocate(sig, budget)
		r.Seconds += time.Since(began).Seconds() / float64(draws)
		if err != nil {
			return nil, err
		}
		if j == 0 {
			r.Counts = append([]int(nil), counts...)
		}
		r.Predicted += v.Ratio(counts) / float64(draws)
		if grads[j], err = k.Draw(ctx, counts, nil); err != nil {
			return nil, err
		}
		for _, n := range counts {
			r.Queries += int64(n) * int64(len(k.Estimator.Plan(0)))
		}
		if reference != nil {
			r.Cosine += cosine(grads[j], reference) / float64(draws)
		}
	}
	r.d = deviations(grads)
	if reference != nil && draws > 2 {
		r.bias = []bias{biasOf(grads, reference)}
	}
	for _, d := range r.d {
		r.Variance += d / float64(draws)
	}
	return r, nil
}

// deviations are ‖G_r − Ḡ‖²·R/(R−1): their mean is the unbiased total variance.
func deviations(grads [][]float32) []float64 {
	R := len(grads)
	mean := make([]float64, len(grads[0]))
	for _, g := range grads {
		for i, v := range g {
			mean[i] += float64(v) / float64(R)
		}
	}
	out := make([]float64, R)
	for r, g := range grads {
		for i, v := range g {
			d := float64(v) - mean[i]
			out[r] += d * d
		}
		out[r] *= float64(R) / float64(R-1)
	}
	return out
}

// Ratio is the measured variance of a against that of uniform with its 95%
// interval, by the delta method on the logarithm of the ratio of two means of
// independent draws. Of gradients that no noise is in, as where nothing is taken but what
// was predicted, it is 1; NaN is what draws do not say: a ratio to equal shares whose draws
// agree by chance, and the interval where those of one side do.
func Ratio(a, uniform *Result) (ratio, lo, hi float64) {
	if a.Variance == 0 && uniform.Variance == 0 {
		return 1, 1, 1
	}
	if uniform.Variance == 0 {
		return math.NaN(), math.NaN(), math.NaN()
	}
	ratio = a.Variance / uniform.Variance
	rel := func(r *Result) float64 {
		n := float64(len(r.d))
		var s float64
		for _, d := range r.d {
			s += (d - r.Variance) * (d - r.Variance)
		}
		return s / (n - 1) / n / (r.Variance * r.Variance)
	}
	f := math.Exp(1.96 * math.Sqrt(rel(a)+rel(uniform)))
	return ratio, ratio / f, ratio * f
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// Reference is the backpropagation gradient of the batch, nil where the model or its loss
// cannot be differentiated, or where it is 0 and nothing has an angle to it.
func (k *Bench) Reference(ctx context.Context) ([]float32, error) {
	d, ok := forward.As[query.Differentiable](k.Model)
	loss := k.Pass.Clean().Loss
	if _, graded := loss.(forward.Graded); !ok || loss != nil && !graded {
		return nil, nil
	}
	k.clearGrads()
	if _, err := d.Backward(ctx, k.Batch); err != nil {
		return nil, fmt.Errorf("measure: %w", err)
	}
	g := k.gradient(nil)
	if !slices.ContainsFunc(g, func(v float32) bool { return v != 0 }) {
		return nil, nil
	}
	return g, nil
}
