package train

import (
	"fmt"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// halving is a network on the processor, which can multiply in bf16.
type halving interface {
	Halve(sites, params []int, queries float64) vit.Halved
	CouldHalve(sites, params []int, queries float64) vit.Halved
	Rounded() vit.Halved
}

// halver is the network of a run on the processor; nil elsewhere.
func (x *Experiment) halver() halving {
	if h, ok := x.Model.(halving); ok && x.Model.Device() == device.CPU {
		return h
	}
	return nil
}

// openPrecision chooses the maps that multiply in bf16, by what the estimator perturbs
// and what it takes the gradient of itself.
func (x *Experiment) openPrecision() error {
	if err := x.checkSigma(); err != nil {
		return err
	}
	h := x.halver()
	if h == nil || x.Config.Train.Precision != vit.BF16 {
		return nil
	}
	sites, params := x.disturbed()
	if r := h.Halve(sites, params, x.perImage()); r.Maps > 0 || r.Few {
		return nil
	}
	name := x.Estimator.Name()
	return uierr.New(fmt.Sprintf("train.precision: bf16 leaves nothing to do: the %s estimator changes or differentiates "+
		"what comes first in the network, and rounding would drown what it looks for", name),
		"use fp32, or train fewer blocks by sites.blocks and sites.params")
}

// Forms of bf16 on the processor, as env.json names them: queries multiply what their
// noise changed, or no query goes through a map in bf16.
const (
	byDifferences = "differences"
	byValues      = "values"
)

// form is the form that a run has; "" where nothing multiplies in bf16 by itself.
func (x *Experiment) form() string {
	r := x.Rounded()
	switch {
	case x.halver() == nil || x.Config.Train.Precision != vit.BF16:
		return ""
	case r.Differences:
		return byDifferences
	}
	return byValues
}

// formChanged says in a line that a run in bf16 would go on in another form than the one
// that it began with, which makes other bits; noted is whether env.json has that. Versions
// that did not note it took differences wherever they could, and later ones by the queries
// of an image.
func (x *Experiment) formChanged(was *runs.Env) (line string, noted bool) {
	now := x.form()
	if now == "" || was.BF16 == now {
		return "", false
	}
	if noted = was.BF16 != ""; !noted && (now == byDifferences || !x.Rounded().Few) {
		return "", false
	}
	if noted {
		return fmt.Sprintf("train.precision: the run began with bf16 by %s, and this version would go on by %s, "+
			"with other bits", was.BF16, now), true
	}
	return "the run began with a version that may have multiplied its queries in bf16, by differences: from here on, " +
		"with so few of an image, they are float32, and results may differ", false
}

// checkSigma refuses noise of weights that the device's precision does not see.
func (x *Experiment) checkSigma() error {
	m, ok := x.Model.(interface{ LeastSigma() float64 })
	if !ok {
		return nil
	}
	least, sigma := m.LeastSigma(), x.Config.Estimator.Sigma
	for _, p := range lr.Plan(x.Estimator, 0) {
		if p.Kind == forward.Weights && sigma < least {
			return uierr.New(fmt.Sprintf("estimator.sigma: %g: train.precision %s sees noise of weights from %g on; below it "+
				"rounding takes more than a tenth of what a query says", sigma, x.Config.Train.Precision, least),
				fmt.Sprintf("raise it to %g, or set train.precision: fp32, or tf32 from 0.0001 on", least))
		}
	}
	return nil
}

// Precision says in one line how a device other than the processor rounds; "" where it
// does not.
func (x *Experiment) Precision() (string, error) {
	if m, ok := x.Model.(interface {
		Precision(sites []int) (string, error)
	}); ok {
		return m.Precision(lr.Sites(x.Estimator, 0))
	}
	return "", nil
}

// disturbed are the sites where queries carry noise, and the parameters that queries
// change or a gradient is taken by.
func (x *Experiment) disturbed() (sites, params []int) {
	if !lr.Is(x.Estimator.Name(), lr.AtSites) {
		return nil, x.Selection.All()
	}
	for _, p := range lr.Plan(x.Estimator, 0) {
		if p.Kind == forward.Weights {
			return x.Selection.Sites, x.Selection.Direct
		}
	}
	return x.Selection.Sites, nil
}

// Rounded says which maps of a run on the processor multiply in bf16.
func (x *Experiment) Rounded() vit.Halved {
	if h := x.halver(); h != nil {
		return h.Rounded()
	}
	return vit.Halved{}
}

// productShare is about the part of a forward's time in float32 that is products; the
// rest (activation functions, norms, softmax) stays as it is (docs/performance/bf16.md).
const productShare = 0.8

// Faster is about how many times as fast a step of this run would be with
// train.precision: bf16, 1 where it would not be.
func (x *Experiment) Faster() float64 {
	h := x.halver()
	if h == nil || x.Config.Train.Precision == vit.BF16 || kernel.HalfUnit() == "" {
		return 1
	}
	sites, params := x.disturbed()
	r := h.CouldHalve(sites, params, x.perImage())
	batch, kept := int64(x.Config.Train.BatchSize), x.Cache.spared()
	clean := float64(batch * (x.Model.ForwardFLOPs() - kept))
	queries := max(0, float64(x.StepCost(0).FLOPs)-clean)
	if clean+queries <= 0 {
		return 1
	}
	return (clean + queries) / inHalf(r, clean, float64(batch*max(0, r.FLOPs-kept)), queries,
		x.perImage(), gain())
}

// perImage is how many queries an image has of a perturbation, in the mean of those that
// have any.
func (x *Experiment) perImage() float64 {
	n := float64(x.Config.PassQueries()) / float64(x.Config.Train.BatchSize)
	return max(n, float64(x.Config.LeastDirection()))
}

// inHalf is what a step costs with products gain times as fast, in the operations of its
// float32: those of the clean pass, of which rounded may be, and of its queries, of which
// an image has so many and, by differences, one more without noise.
func inHalf(r vit.Halved, clean, rounded, queries, perImage, gain float64) float64 {
	saved := productShare * (1 - 1/gain)
	cost := clean - saved*rounded
	if !r.Differences {
		return cost + queries
	}
	share := float64(r.FLOPs) / float64(r.OfFLOPs)
	return cost + queries*(1+1/max(perImage, 1))*(1-saved*share)
}

// gain is how many times as fast a product in bf16 is here.
func gain() float64 {
	const m, n, k = 256, 256, 512
	a, w, c := make([]float32, m*k), make([]float32, n*k), make([]float32, m*n)
	var p kernel.Packed
	var h kernel.Half
	p.PackNT(w, n, k, k)
	h.PackNT(w, n, k, k)
	var s kernel.Scratch
	var t kernel.HalfScratch
	least := func(f func()) time.Duration {
		best := time.Hour
		for range 5 {
			began := time.Now()
			f()
			best = min(best, time.Since(began))
		}
		return best
	}
	single := least(func() { kernel.Gemm(c, n, a, k, m, &p, nil, &s) })
	half := least(func() { kernel.GemmHalf(c, n, a, k, m, &h, nil, &t) })
	return max(1, float64(single)/float64(half))
}
