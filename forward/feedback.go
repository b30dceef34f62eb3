package forward

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/noise"
)

// Feedback is what Local has learned: of every layer the mean Jacobian J of the outputs
// by the row of its output that is read. With y_ip, the change of the outputs by a
// direction over σ, it learns by least mean squares
//
//	J_b += gain/(1 + W/n) · (1/n) Σ_ip (y_ip − Σ_b J_b ε_ipb) ε_ipbᵀ
//
// of n directions in W dimensions of all layers. Node perturbation that learns its
// feedback: Lansdell, Prakash and Kording, ICLR 2020, arXiv 1906.00889; feedback that
// is learned from noise: Akrout and others, NeurIPS 2019, arXiv 1904.05391.
type Feedback struct {
	sites   []int
	layers  []Layer
	classes int
	j       [][]float32 // per layer: classes×Width
	moments [][]float32 // per layer: running means, see the constants
	squares [2]float32  // running Σ c², Σ r²

	hat  [][]float32 // of the last gradient: the prediction of each image, unscaled
	by   []float32   // what it was scaled by, per layer
	e    []float32   // what it was made of, ∂ℓ_i/∂outputs_i
	left []float32   // r of each direction
}

// What is kept of a layer, as running means.
const (
	agree   = iota // ⟨ĝ, c ε⟩: how far predictions agree with the queries
	length         // ‖ĝ‖²
	common         // ⟨G₀, G₁⟩ of the corrections of two halves of a batch
	spread         // ‖G₀ + G₁‖²
	moments        // how many
)

const feedbackKeep = 0.95 // of running means, per step

func newFeedback(sites []int, layers []Layer) *Feedback {
	return &Feedback{sites: sites, layers: layers}
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
			f.j, f.moments = append(f.j, make([]float32, classes*x.Width)), append(f.moments, make([]float32, moments))
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
	if !o.Scaled || !(m[length] > 0) {
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

// gradient is that at the row read of every layer's output, Size×Width each,
//
//	(1/B) ĝ_ib + κ_b/(B π_i P_i) Σ_p (e_i·y_ip − Σ_b ⟨ĝ_ib, ε_ipb⟩) ε_ipb,  ĝ_ib = s_b J_bᵀ e_i,
//
// and r, the brackets, becomes the record's Left.
func (f *Feedback) gradient(o *LocalOptions, s *Step, r *Record) ([][]float32, error) {
	C, n := s.Clean.Classes, s.Batch.Size
	if err := f.begin(C); err != nil {
		return nil, err
	}
	e, err := s.Clean.OutputGradient(1)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, fmt.Errorf("forward: a loss without a derivative by the outputs, which local feedback begins with")
	}
	f.e = e
	share := s.ShareOf(r)
	at := make([][]float32, len(f.layers))
	f.hat, f.by = make([][]float32, len(f.layers)), make([]float32, len(f.layers))
	for b, x := range f.layers {
		f.hat[b], f.by[b] = transposed(f.j[b], e, n, C, x.Width), f.scale(o, b)
		at[b] = make([]float32, n*x.Width)
		for k, v := range f.hat[b] {
			at[b][k] = f.by[b] * v / float32(n)
		}
	}
	f.left, r.items = make([]float32, 0, len(r.Coefs)/C), nil
	err = f.directions(o, s, r, func(i, j int, eps [][]float32) {
		left := dot(e[i*C:(i+1)*C], r.Coefs[j*C:(j+1)*C])
		for b, x := range f.layers {
			left -= f.by[b] * dot(eps[b], f.hat[b][i*x.Width:(i+1)*x.Width])
		}
		f.left, r.items = append(f.left, left), append(r.items, int32(i))
		for b, x := range f.layers {
			if k := f.kappa(o, b); k != 0 {
				axpy(at[b][i*x.Width:(i+1)*x.Width], k*left/over(share, i, o.Antithetic), eps[b])
			}
		}
	})
	r.Left = f.left
	return at, err
}

// directions calls do with the item, the number and the noise of every direction.
func (f *Feedback) directions(o *LocalOptions, s *Step, r *Record, do func(i, j int, eps [][]float32)) error {
	eps := make([][]float32, len(f.layers))
	for b, x := range f.layers {
		eps[b] = make([]float32, x.Width)
	}
	j := 0
	for i, n := range s.ShareOf(r).Counts {
		for p := range pairs(n, o.Antithetic) {
			if (j+1)*f.classes > len(r.Coefs) {
				return fmt.Errorf("forward: a record of %d numbers is too short for its queries", len(r.Coefs))
			}
			for b, site := range f.sites {
				at := noise.Counter{Step: r.Perturbation.Step, Site: uint32(site), Image: uint32(i), Pair: uint32(p)}
				o.Noise.Fill(eps[b], at, 0)
			}
			do(i, j, eps)
			j++
		}
	}
	return nil
}

// learn takes one step of the least mean squares, and of the running means.
func (f *Feedback) learn(o *LocalOptions, s *Step, r *Record) {
	C, n := f.classes, len(r.Coefs)/f.classes
	if n == 0 {
		return
	}
	e, share := f.e, s.ShareOf(r)
	add, halves := make([][]float32, len(f.layers)), make([][2][]float32, len(f.layers))
	for b, x := range f.layers {
		add[b] = make([]float32, C*x.Width)
		halves[b] = [2][]float32{make([]float32, x.Width), make([]float32, x.Width)}
	}
	weights := f.weights(o, e, share)
	var c2, r2 float64
	agreed := make([]float64, len(f.layers))
	rest := make([]float32, C)
	_ = f.directions(o, s, r, func(i, j int, eps [][]float32) {
		y := r.Coefs[j*C : (j+1)*C]
		copy(rest, y)
		for b, x := range f.layers {
			for c := range C {
				rest[c] -= dot(f.j[b][c*x.Width:(c+1)*x.Width], eps[b])
			}
		}
		c := dot(e[i*C:(i+1)*C], y)
		c2, r2 = c2+float64(c)*float64(c), r2+float64(f.left[j])*float64(f.left[j])
		for b, x := range f.layers {
			agreed[b] += float64(c) * float64(dot(eps[b], f.hat[b][i*x.Width:(i+1)*x.Width]))
			for k := range C {
				axpy(add[b][k*x.Width:(k+1)*x.Width], weights[i]*rest[k], eps[b])
			}
			axpy(halves[b][i%2], f.left[j]/over(share, i, o.Antithetic), eps[b])
		}
	})
	eta := float32(o.Gain) / (1 + float32(f.dims())/float32(n)) / float32(n)
	keep := func(v *float32, x float64) { *v = feedbackKeep**v + (1-feedbackKeep)*float32(x) }
	keep(&f.squares[0], c2/float64(n))
	keep(&f.squares[1], r2/float64(n))
	for b := range f.layers {
		axpy(f.j[b], eta, add[b])
		m := f.moments[b]
		keep(&m[agree], agreed[b]/float64(n))
		keep(&m[length], float64(dot(f.hat[b], f.hat[b]))/float64(s.Batch.Size))
		g0, g1 := halves[b][0], halves[b][1]
		both := dot(g0, g1)
		keep(&m[common], float64(both))
		keep(&m[spread], float64(dot(g0, g0)+dot(g1, g1)+2*both))
	}
}

// dims are the dimensions of a direction: of the rows of all layers.
func (f *Feedback) dims() (n int) {
	for _, x := range f.layers {
		n += x.Width
	}
	return n
}

// weights are those of the items in the learning of J, of mean 1 over the directions.
func (f *Feedback) weights(o *LocalOptions, e []float32, share Share) []float32 {
	C := f.classes
	w := make([]float32, len(share.Counts))
	var sum, n float64
	for i, k := range share.Counts {
		w[i] = 1
		if o.Weigh {
			w[i] = dot(e[i*C:(i+1)*C], e[i*C:(i+1)*C])
		}
		P := float64(pairs(k, o.Antithetic))
		sum, n = sum+P*float64(w[i]), n+P
	}
	for i := range w {
		if sum > 0 {
			w[i] = min(4, w[i]*float32(n/sum))
		}
	}
	return w
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

// Residuals implements Surrogate: of all layers together, as one query asks them all.
func (f *Feedback) Residuals() map[int]Residual {
	out := map[int]Residual{}
	for _, s := range f.sites {
		if f.squares[0] > 0 {
			out[s] = Residual{Share: float64(f.squares[1] / f.squares[0]), Used: true}
		}
	}
	return out
}

const (
	stateMoments = "moments."
	stateAll     = "all"
)

// State implements Surrogate.
func (f *Feedback) State() map[string][]float32 {
	out := map[string][]float32{}
	if f.classes == 0 {
		return out
	}
	out[stateAll] = []float32{float32(f.classes), f.squares[0], f.squares[1]}
	for b, s := range f.sites {
		out[fmt.Sprint(stateJ, s)] = append([]float32{}, f.j[b]...)
		out[fmt.Sprint(stateMoments, s)] = append([]float32{}, f.moments[b]...)
	}
	return out
}

// Restore implements Surrogate.
func (f *Feedback) Restore(state map[string][]float32) error {
	f.classes, f.squares = 0, [2]float32{}
	all := state[stateAll]
	if len(all) == 0 {
		return nil
	}
	if len(all) != 3 || !(all[0] >= 1) || all[0] > 1<<20 {
		return fmt.Errorf("forward: a surrogate's state of %d numbers is none of local feedback", len(all))
	}
	if err := f.begin(int(all[0])); err != nil {
		return err
	}
	f.squares = [2]float32{all[1], all[2]}
	for b, s := range f.sites {
		j, m := state[fmt.Sprint(stateJ, s)], state[fmt.Sprint(stateMoments, s)]
		if len(j) != len(f.j[b]) || len(m) != moments {
			return fmt.Errorf("forward: a surrogate's state has %d and %d numbers of site %d", len(j), len(m), s)
		}
		copy(f.j[b], j)
		copy(f.moments[b], m)
	}
	for name := range state {
		if name != stateAll && !strings.HasPrefix(name, stateJ) && !strings.HasPrefix(name, stateMoments) {
			return fmt.Errorf("forward: a surrogate's state has %s, which is none of local feedback", name)
		}
	}
	return nil
}
