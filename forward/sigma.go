package forward

import (
	"math"

	"github.com/flops-vit/flops/noise"
)

const (
	sigmaStep = 0.1  // largest change of log σ in one step
	sigmaMin  = 1e-5 // smaller scales drown in float32 differences of losses
	sigmaMax  = 10
)

// learnSigma follows the gradient of the smoothed loss by log σ of each noisy site,
// ∂/∂log σ E[ℓ] = E[ℓ(‖ε‖² − d)], with the clean loss as baseline.
// Only one-sided losses carry it, so a pair gives the mean of its two; the
// coefficients of antithetic pairs have lost that mean, and a record carries it
// in Mean.
func (a *activation) learnSigma(s *Step, records []Record) {
	for _, r := range records {
		if r.Perturbation.Kind != Activations {
			continue
		}
		for k, site := range r.Perturbation.Sites {
			g := a.sigmaGradient(s, r, site)
			step := max(-sigmaStep, min(sigmaStep, -a.o.SigmaRate*g))
			v := float64(r.Perturbation.Sigma[k]) * math.Exp(step)
			a.sigma[site] = float32(max(sigmaMin, min(sigmaMax, v)))
		}
	}
}

// sigmaGradient is (1/B) Σ_i (1/P_i) Σ_p (ℓ̄_ip − b_i)(‖ε_ip‖² − d).
func (a *activation) sigmaGradient(s *Step, r Record, site int) float64 {
	info := a.sites[site]
	d := info.Live * info.Dim()
	buf := make([]float32, info.Live*info.Out)
	var g float64
	j := 0
	share := s.ShareOf(&r)
	for i, n := range share.Counts {
		P := pairs(n, a.o.Antithetic)
		for p := 0; p < P; p++ {
			a.o.Noise.Fill(buf, noise.Counter{Step: r.Perturbation.Step, Site: uint32(site), Image: uint32(i),
				Pair: uint32(p)}, 0)
			var sq float64
			for _, e := range buf {
				sq += float64(e) * float64(e)
			}
			g += float64(r.Mean[j]) * (sq - float64(d)) / float64(over(share, i, a.o.Antithetic))
			j++
		}
	}
	return g
}

// means are ℓ̄_ip − b_i: the mean loss of a direction's queries against the
// clean loss.
func means(q []Query, losses, clean []float32, perPair int) []float32 {
	out := make([]float32, len(q)/perPair)
	for j, x := range q {
		out[j/perPair] += (losses[j] - clean[x.Image]) / float32(perPair)
	}
	return out
}
