package forward

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/noise"
)

// Feedback is what Local has learned. The gradient at the row that is read of layer b's
// output is predicted as
//
//	ĝ_ib = a_b t_i + s_b J_bᵀ e_i
//
// of the gradient t_i after the last layer, where predictions begin with it, and of the
// mean Jacobian J_b of the outputs by that row, less what t stands for. With y_ip, the
// change of the outputs by a direction over σ, and y°_ip, that of what comes after the last
// layer alone at Σ_b a_b ε_ipb, J is learned by least mean squares
//
//	J_b += gain/(1 + W/n) · (1/n) Σ_ip w_i (y_ip − y°_ip − Σ_b J_b ε_ipb) ε_ipbᵀ
//
// of n directions in W dimensions of all layers. Node perturbation that learns its
// feedback: Lansdell, Prakash and Kording, ICLR 2020, arXiv 1906.00889; feedback that
// is learned from noise: Akrout and others, NeurIPS 2019, arXiv 1904.05391.
type Feedback struct {
	sites   []int
	layers  []Layer
	known   []bool // per layer: its gradient is that after the last layer, and nothing is asked or learned
	classes int
	j       [][]float32 // per layer: classes×wide
	moments [][]float32 // per layer: running means, see the constants
	squares [2]float32  // running Σ c², Σ r²

	hat   [][]float32 // of the last gradient: the prediction of each image by J, unscaled
	by    []float32   // what it was scaled by, per layer
	top   []float32   // the gradient of each image after the last layer, nil where it is no part of it
	of    []float32   // the share of that, per layer
	above []float32   // what it says of the outputs of each direction
	e     []float32   // what J's was made of, ∂ℓ_i/∂outputs_i
	left  []float32   // r of each direction
}

// What is kept of a layer, as running means.
const (
	agree   = iota // ⟨Jᵀe, c ε⟩ less what t says of c: how far predictions agree with the queries
	length         // ‖Jᵀe‖² over the same directions
	common         // ⟨G₀, G₁⟩ of the corrections of two halves of a batch
	spread         // ‖G₀ + G₁‖²
	meets          // ⟨t, c ε⟩ of the gradient t after the last layer
	above          // ‖t‖² over the same directions
	moments        // how many
)

const feedbackKeep = 0.95 // of running means, per step

// newFeedback knows the gradient at the last layer of the chain if the options begin
// with it, and there are others to ask of.
func newFeedback(o *LocalOptions, layers []Layer) *Feedback {
	f := &Feedback{sites: o.Sites, layers: layers}
	for _, x := range layers {
		f.known = append(f.known, o.Above && x.Last && len(layers) > 1)
	}
	return f
}

// Name implements Surrogate.
func (f *Feedback) Name() string { return "local" }

// Predicts implements Surrogate.
func (f *Feedback) Predicts(site int) bool { return slices.Contains(f.sites, site) }

// Guess implements Surrogate: no site is predicted alone.
func (f *Feedback) Guess(*Step, int) (*Guess, error) { return nil, nil }

// Learn implements Surrogate; Local tells it of its records.
func (f *Feedback) Learn(*Step, []*Guess) error { return nil }

// begin makes room for so many outputs.
func (f *Feedback) begin(classes int) error {
	if f.classes == 0 {
		f.classes = classes
		f.j, f.moments = nil, nil
		for _, x := range f.layers {
			f.j, f.moments = append(f.j, make([]float32, classes*x.wide())), append(f.moments, make([]float32, moments))
		}
	}
	if f.classes != classes {
		return fmt.Errorf("forward: %d outputs of a surrogate that learned from %d", classes, f.classes)
	}
	return nil
}

// scale is by what predictions of a layer are multiplied.
func (f *Feedback) scale(o *LocalOptions, b int) float32 {
	m := f.moments[b]
	switch {
	case f.known[b]:
		return 0
	case !o.Scaled || !(m[length] > 0):
		return 1
	}
	return min(3, max(0, m[agree]/m[length]))
}

// kappa is the share of the correction of a layer that is taken: of least mean squared
// error where it is to be found, |E G|²/E|G|² of the corrections G before this step.
func (f *Feedback) kappa(o *LocalOptions, b int) float32 {
	if o.Kappa >= 0 {
		return float32(o.Kappa)
	}
	m := f.moments[b]
	if !(m[spread] > 0) {
		return 0
	}
	return min(1, max(0, 4*m[common]/m[spread]))
}

// predict makes what is predicted at the rows read of every layer's output, from the
// gradient after the last layer where there is one, and r of every direction, which
// becomes the record's Left.
func (f *Feedback) predict(ctx context.Context, o *LocalOptions, s *Step, r *Record, pass Chained,
	top []float32) error {
	C, n := s.Clean.Classes, s.Batch.Size
	if err := f.begin(C); err != nil {
		return err
	}
	e, err := s.Clean.OutputGradient(1)
	if err != nil {
		return err
	}
	if e == nil {
		return fmt.Errorf("forward: a loss without a derivative by the outputs, which local feedback begins with")
	}
	f.e = e
	f.hat, f.by, f.of = make([][]float32, len(f.layers)), make([]float32, len(f.layers)), make([]float32, len(f.layers))
	for k := range top { // the mean loss's until here
		top[k] *= float32(n)
	}
	f.top = top
	for b, x := range f.layers {
		f.hat[b], f.by[b] = transposed(f.j[b], e, n, C, x.wide()), f.scale(o, b)
		if top != nil {
			f.of[b] = f.share(b)
		}
	}
	if err := f.fromAbove(ctx, o, s, r, pass); err != nil {
		return err
	}
	f.left, r.items = make([]float32, 0, len(r.Coefs)/C), nil
	err = f.directions(o, s, r, func(i, j int, d direction) {
		left := dot(e[i*C:(i+1)*C], r.Coefs[j*C:(j+1)*C])
		for b, x := range f.layers {
			left -= f.by[b] * dot(d.runs[b], f.hat[b][i*x.wide():(i+1)*x.wide()])
			if top != nil {
				left -= f.of[b] * dot(d.eps[b], top[i*x.noise():(i+1)*x.noise()])
			}
		}
		f.left, r.items = append(f.left, left), append(r.items, int32(i))
	})
	r.Left = f.left
	return err
}

// gradient writes that at the rows read of layer b's output, Size×Reads×Width,
//
//	(1/B) ĝ_ib + κ_b/(B π_i P_i) Σ_p (e_i·y_ip − Σ_b ⟨ĝ_ib, ε_ipb⟩) ε_ipb,
//
// of what was predicted last.
func (f *Feedback) gradient(o *LocalOptions, s *Step, r *Record, b int, at []float32) error {
	x, n := &f.layers[b], s.Batch.Size
	clear(at)
	for i := range n {
		x.spread(at[i*x.noise():(i+1)*x.noise()], f.by[b]/float32(n), f.hat[b][i*x.wide():(i+1)*x.wide()])
	}
	if f.top != nil {
		axpy(at, f.of[b]/float32(n), f.top)
	}
	k := f.kappa(o, b)
	if k == 0 || f.known[b] {
		return nil
	}
	share := s.ShareOf(r)
	return f.directions(o, s, r, func(i, j int, d direction) {
		axpy(at[i*x.noise():(i+1)*x.noise()], k*f.left[j]/over(share, i, o.Antithetic), d.eps[b])
	}, b)
}

// direction is the noise of one direction at every layer, 0 where none was made: of the
// rows read, and what it is to the Jacobian.
type direction struct{ eps, runs [][]float32 }

// directions calls do with the item, the number and the noise of every direction, of the
// layers named alone where some are.
func (f *Feedback) directions(o *LocalOptions, s *Step, r *Record, do func(i, j int, d direction), of ...int) error {
	d := direction{make([][]float32, len(f.layers)), make([][]float32, len(f.layers))}
	rooms := make([][]float32, len(f.layers))
	for b := range f.layers {
		x := &f.layers[b]
		if len(of) == 0 || slices.Contains(of, b) {
			d.eps[b], rooms[b] = make([]float32, x.noise()), make([]float32, x.wide())
			d.runs[b] = x.gathered(d.eps[b], rooms[b])
		}
	}
	j := 0
	for i, n := range s.ShareOf(r).Counts {
		for p := range pairs(n, o.Antithetic) {
			if (j+1)*f.classes > len(r.Coefs) {
				return fmt.Errorf("forward: a record of %d numbers is too short for its queries", len(r.Coefs))
			}
			for b, site := range f.sites {
				if f.known[b] || d.eps[b] == nil { // it stays 0
					continue
				}
				at := noise.Counter{Step: r.Perturbation.Step, Site: uint32(site), Image: uint32(i), Pair: uint32(p)}
				o.Noise.Fill(d.eps[b], at, 0)
				d.runs[b] = f.layers[b].gathered(d.eps[b], rooms[b])
			}
			do(i, j, d)
			j++
		}
	}
	return nil
}

// dims are the dimensions of a direction, of the rows of all layers that are asked of, and
// those of them that the Jacobians see.
func (f *Feedback) dims() (noise, runs int) {
	for b, x := range f.layers {
		if !f.known[b] {
			noise, runs = noise+x.noise(), runs+x.wide()
		}
	}
	return noise, runs
}

// transposed is Jᵀe of n items.
func transposed(j, e []float32, n, classes, width int) []float32 {
	out := make([]float32, n*width)
	for i := range n {
		for c := range classes {
			axpy(out[i*width:(i+1)*width], e[i*classes+c], j[c*width:(c+1)*width])
		}
	}
	return out
}

func dot(a, b []float32) float32 {
	var s float32
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

func axpy(dst []float32, c float32, x []float32) {
	for i, v := range x {
		dst[i] += c * v
	}
}
