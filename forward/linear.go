package forward

import (
	"fmt"
	"math"
)

// Linear is the surrogate that learns, at every anchor, the mean Jacobian of the
// outputs: u_i = Jᵀ e_i, with e_i the derivative of the loss by the outputs, which
// the clean pass gives (of a loss without one softmax − onehot, which tells images
// apart as well). J is learned from the same queries by the normalised least mean
// squares of Widrow and Hoff (1960),
//
//	J += η S⁻¹ · (1/n) Σ_ip e_i (r_ip D_i ε_ip)ᵀ · diag(d)⁻¹,
//	S = E[e eᵀ],  d = E[(D ε)²],  η = gain/(1 + (C−1)·Width/n),
//
// which is stable for n directions of C−1 free outputs at any gain below 2. The
// sites that share an anchor share J; those learn it that are linear in it.
// Relatives: Lansdell, Prakash and Kording, ICLR 2020, arXiv 1906.00889, whose
// feedback weights are the gradient itself, and so biased.
type Linear struct {
	gain    float64
	kappa   float64 // share of the queries' correction that is taken
	classes int
	sites   map[int]*followed
	anchors map[string]*jacobian

	s      []float32 // E[e eᵀ], classes×classes, with the weight of a running mean
	weight float32

	of *Clean // of which e is
	e  []float32
}

// followed is what is known of a site.
type followed struct {
	anchor *jacobian
	c2, r2 float32 // running means of squares
}

// used says whether what is predicted goes into the gradient: a surrogate that left
// more of the coefficients than there was is compared on, and comes back when it
// leaves less.
func (f *followed) used() bool { return f.anchor.j != nil && f.r2 < f.c2 }

// jacobian is what is learned at an anchor.
type jacobian struct {
	Anchor
	j      []float32 // classes×Width
	d      []float32 // Width, with the weight of a running mean
	weight float32
	taught bool // at least one of its sites teaches
}

// dim is how many directions its noise has.
func (j *jacobian) dim() int {
	if j.Dim > 0 {
		return j.Dim
	}
	return j.Width
}

const (
	linearKeep = 0.9  // of running means, per step
	linearDamp = 0.03 // of S and d, of their mean
)

// NewLinear makes a surrogate for those of the sites that have an anchor; nil where
// none has. gain is that of its learning, 0 for 0.5. kappa is the share of what the
// queries say beyond the prediction that is taken: with 1 the estimate has no bias
// whatever is predicted; noise at all rows of an image has so many dimensions that less
// can be the smaller error.
func NewLinear(m Model, sites []int, gain, kappa float64) *Linear {
	a, ok := As[Anchored](m)
	if !ok {
		return nil
	}
	if gain == 0 {
		gain = 0.5
	}
	l := &Linear{gain: gain, kappa: kappa, sites: map[int]*followed{}, anchors: map[string]*jacobian{}}
	for _, s := range sites {
		at, ok := a.Anchor(s)
		if !ok {
			continue
		}
		if l.anchors[at.Name] == nil {
			l.anchors[at.Name] = &jacobian{Anchor: at}
		}
		j := l.anchors[at.Name]
		if at.Teaches {
			j.taught, j.Dim = true, at.Dim
		}
		l.sites[s] = &followed{anchor: j}
	}
	for s, f := range l.sites { // what nobody teaches stays unknown
		if !f.anchor.taught {
			delete(l.sites, s)
		}
	}
	if len(l.sites) == 0 {
		return nil
	}
	return l
}

// Name implements Surrogate.
func (l *Linear) Name() string { return "linear" }

// Predicts implements Surrogate.
func (l *Linear) Predicts(site int) bool { return l.sites[site] != nil }

// regressors are e_i of a clean pass.
func (l *Linear) regressors(s *Step) ([]float32, error) {
	if l.of == s.Clean {
		return l.e, nil
	}
	e, err := s.Clean.OutputGradient(1)
	if err != nil {
		return nil, err
	}
	if e == nil && len(s.Clean.Logits) > 0 {
		e = surprise(s.Clean, s.Batch.Labels)
	}
	l.of, l.e = s.Clean, e
	return e, nil
}

// surprise is softmax − onehot of each image.
func surprise(c *Clean, labels []int32) []float32 {
	e := make([]float32, len(c.Logits))
	for i := range len(c.Logits) / c.Classes {
		z, d := c.Logits[i*c.Classes:(i+1)*c.Classes], e[i*c.Classes:(i+1)*c.Classes]
		top := math.Inf(-1)
		for _, v := range z {
			top = math.Max(top, float64(v))
		}
		var sum float64
		for _, v := range z {
			sum += math.Exp(float64(v) - top)
		}
		for k, v := range z {
			d[k] = float32(math.Exp(float64(v)-top) / sum)
		}
		if i < len(labels) && int(labels[i]) < c.Classes && labels[i] >= 0 {
			d[labels[i]]--
		}
	}
	return e
}

// Guess implements Surrogate.
func (l *Linear) Guess(s *Step, site int) (*Guess, error) {
	f := l.sites[site]
	if f == nil {
		return nil, nil
	}
	e, err := l.regressors(s)
	if err != nil || e == nil {
		return nil, err
	}
	j, n, C := f.anchor, s.Batch.Size, s.Clean.Classes
	g := &Guess{Site: site, Used: f.used(), Withheld: float32(1 - l.kappa)}
	if j.j == nil {
		g.At = make([]float32, n*j.Width)
		return g, nil
	}
	g.At = transposed(j.j, e, n, C, j.Width)
	return g, nil
}

// Learn implements Surrogate.
func (l *Linear) Learn(s *Step, guesses []*Guess) error {
	e, err := l.regressors(s)
	if err != nil || e == nil || len(guesses) == 0 {
		return err
	}
	C := s.Clean.Classes
	if l.s == nil {
		l.classes, l.s = C, make([]float32, C*C)
	}
	if l.classes != C {
		return fmt.Errorf("forward: %d outputs of a surrogate that learned from %d", C, l.classes)
	}
	l.average(e, guesses)
	root := l.root()
	for _, g := range guesses {
		f := l.sites[g.Site]
		f.follow(g)
		switch {
		case len(g.Coefs) == 0:
		case len(g.Carried) > 0:
			f.anchor.learnChanges(l.gain, C, g)
		case root != nil && len(g.Pushed) > 0: // its noise was carried to the anchor
			f.anchor.learn(l.gain, C, e, root, g)
		}
	}
	return nil
}

// average keeps E[e eᵀ] over the directions that were asked.
func (l *Linear) average(e []float32, guesses []*Guess) {
	C, n := l.classes, 0.0
	asked := make([]float64, len(e)/C)
	for _, g := range guesses {
		for _, q := range g.Queries {
			asked[q.Image]++
			n++
		}
	}
	if n == 0 {
		return
	}
	l.weight = linearKeep*l.weight + (1 - linearKeep)
	for a := range C {
		for b := range a + 1 {
			var sum float64
			for i, w := range asked {
				sum += w * float64(e[i*C+a]) * float64(e[i*C+b])
			}
			v := linearKeep*l.s[a*C+b] + (1-linearKeep)*float32(sum/n)
			l.s[a*C+b], l.s[b*C+a] = v, v
		}
	}
}

// root is S in the form that systems are solved by, damped; nil while nothing is known
// of it.
func (l *Linear) root() *positive {
	C, a := l.classes, make([]float64, len(l.s))
	if l.weight == 0 {
		return nil
	}
	var mean float64
	for i, v := range l.s {
		a[i] = float64(v) / float64(l.weight)
	}
	for c := range C {
		mean += a[c*C+c] / float64(C)
	}
	for c := range C {
		a[c*C+c] += linearDamp * mean
	}
	return factored(a, C) // nil where every e is 0
}

// follow keeps Σ c² and Σ r² of a site.
func (f *followed) follow(g *Guess) {
	var c2, r2 float64
	for k, c := range g.Coefs {
		c2 += float64(c) * float64(c)
		r2 += float64(g.Left[k]) * float64(g.Left[k])
	}
	if r2-r2 != 0 || r2 > 1e30 { // what was learned is no number any more: begin again
		f.anchor.j, f.anchor.d, f.anchor.weight = nil, nil, 0
		r2 = c2
	}
	if n := float64(len(g.Coefs)); n > 0 {
		f.c2 = linearKeep*f.c2 + (1-linearKeep)*float32(c2/n)
		f.r2 = linearKeep*f.r2 + (1-linearKeep)*float32(r2/n)
	}
}

// begin follows d, and is its mean.
func (j *jacobian) begin(C int, g *Guess) (mean float64) {
	W := j.Width
	if j.j == nil {
		j.j, j.d = make([]float32, C*W), make([]float32, W)
	}
	j.weight = linearKeep*j.weight + (1 - linearKeep)
	for k, v := range g.Spread {
		j.d[k] = linearKeep*j.d[k] + (1-linearKeep)*v
		mean += float64(j.d[k]) / float64(W)
	}
	return mean
}

// learn takes one step of the least mean squares; root is S.
func (j *jacobian) learn(gain float64, C int, e []float32, root *positive, g *Guess) {
	W, n := j.Width, float64(len(g.Coefs))
	mean := j.begin(C, g)
	if !(mean > 0) {
		return
	}
	eta := gain / (1 + float64(C-1)*float64(j.dim())/n)
	sums := make([]float64, C*W)
	for i := range len(e) / C {
		p, w := g.Pushed[i*W:(i+1)*W], root.weigh(e[i*C:(i+1)*C])
		for c := range C {
			if v := w * float64(e[i*C+c]); v != 0 {
				row := sums[c*W : (c+1)*W]
				for k, x := range p {
					row[k] += v * float64(x)
				}
			}
		}
	}
	root.solve(sums, W)
	for k := range W {
		over := eta / n / ((float64(j.d[k]) + linearDamp*mean) / float64(j.weight))
		for c := range C {
			j.j[c*W+k] += float32(over * sums[c*W+k])
		}
	}
}
