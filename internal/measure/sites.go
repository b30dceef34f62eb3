package measure

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/flops-vit/flops/internal/lr"
)

// Site is what the estimate is like at one trained part of a network, over many draws
// under the experiment's own shares. Numbers that need the backpropagation gradient are
// nil without one.
type Site struct {
	Name string `json:"site"`
	// Noise is the variance of one draw over the squared norm of the gradient.
	Noise *float64 `json:"noise_to_signal,omitempty"`
	// Share is its part of the variance of the whole gradient.
	Share float64 `json:"variance_share"`
	// Residual is what the surrogate left so far of what the queries say, Σr²/Σc²; nil
	// where nothing is predicted.
	Residual *float64 `json:"residual,omitempty"`
	Unused   bool     `json:"surrogate_unused,omitempty"` // its predictions stay out of the gradient
	// Cosine is the mean cosine of a draw to the backpropagation gradient, and Mean that
	// of the mean of all draws. Without bias Mean is about Unbiased, which goes to 1 as
	// the draws grow.
	Cosine   *float64 `json:"cosine_bp,omitempty"`
	Mean     *float64 `json:"cosine_of_mean,omitempty"`
	Unbiased *float64 `json:"cosine_of_mean_unbiased,omitempty"`
	Draws    int      `json:"draws"`

	variance float64
}

// tally is what is summed of a site's draws.
type tally struct {
	lo, hi  int // of the gradient
	sq, cos float64
}

// Sites draws the gradient again and again, with the queries that give shares out for
// every draw, and says what it is like at each site. reference is the backpropagation
// gradient, or nil.
func (k *Bench) Sites(ctx context.Context, give func(s *lr.Step) error, draws int,
	reference []float32) ([]Site, error) {
	names, tallies := k.parts()
	var sum []float64
	var grad []float32
	for range draws {
		s := k.next(nil)
		if err := give(s); err != nil {
			return nil, err
		}
		var err error
		if grad, err = k.drawn(ctx, s, grad); err != nil {
			return nil, err
		}
		if sum == nil {
			sum = make([]float64, len(grad))
		}
		for i, g := range grad {
			sum[i] += float64(g)
		}
		for j := range tallies {
			t := &tallies[j]
			for _, g := range grad[t.lo:t.hi] {
				t.sq += float64(g) * float64(g)
			}
			if reference != nil {
				t.cos += cosine(grad[t.lo:t.hi], reference[t.lo:t.hi]) / float64(draws)
			}
		}
	}
	return k.summed(names, tallies, sum, draws, reference), nil
}

// parts are the trained parts of the gradient: each site's, and the rest.
func (k *Bench) parts() (names []string, out []tally) {
	of := map[int]string{}
	for _, s := range k.Model.Sites() {
		for _, p := range s.Params() {
			of[p] = s.Name
		}
	}
	at := 0
	for _, i := range k.Params {
		p := k.Model.Params()[i]
		name := of[i]
		if name == "" {
			name = p.Name
		}
		if n := len(out); n == 0 || names[n-1] != name {
			names, out = append(names, name), append(out, tally{lo: at})
		}
		at += len(p.Grad)
		out[len(out)-1].hi = at
	}
	return names, out
}

// summed turns sums into numbers.
func (k *Bench) summed(names []string, tallies []tally, sum []float64, draws int, reference []float32) []Site {
	out := make([]Site, len(tallies))
	var total float64
	R := float64(draws)
	for j, t := range tallies {
		s := &out[j]
		s.Name, s.Draws = names[j], draws
		var sq, dot, ref float64
		for i := t.lo; i < t.hi; i++ {
			m := sum[i] / R
			sq += m * m
			if reference != nil {
				dot, ref = dot+m*float64(reference[i]), ref+float64(reference[i])*float64(reference[i])
			}
		}
		if s.variance = (t.sq - R*sq) / (R - 1); s.variance < 1e-12*t.sq/R { // rounding
			s.variance = 0
		}
		total += s.variance
		if ref == 0 || sq == 0 {
			continue
		}
		noise, mean := s.variance/ref, dot/math.Sqrt(sq*ref)
		unbiased := 1 / math.Sqrt(1+noise/R)
		s.Noise, s.Cosine, s.Mean, s.Unbiased = &noise, &t.cos, &mean, &unbiased
	}
	k.residuals(out)
	for j := range out {
		if total > 0 {
			out[j].Share = out[j].variance / total
		}
	}
	return out
}

// residuals adds what the surrogate says of the sites; of a block's output to all maps in
// the block, whose gradient follows from it.
func (k *Bench) residuals(out []Site) {
	p := lr.Predictor(k.Estimator)
	if p == nil {
		return
	}
	for i, r := range p.Residuals() {
		s := k.Model.Sites()[i]
		within := fmt.Sprintf("block.%d.", s.Block)
		for j := range out {
			if out[j].Name == s.Name || len(s.Params()) == 0 && strings.HasPrefix(out[j].Name, within) {
				out[j].Residual, out[j].Unused = &r.Share, !r.Used
			}
		}
	}
}
