package forward

import "errors"

var errNoSlope = errors.New("forward: a loss without a derivative by the outputs, which changes of them say nothing of")

// changes are y of every direction: the change of each output by it, over σ.
func changes(s *Step, q []Query, outputs []float32, sigma float32, antithetic bool) []float32 {
	C, per := s.Clean.Classes, 1
	if antithetic {
		per = 2
	}
	out := make([]float32, len(q)/per*C)
	for j := 0; j < len(q); j += per {
		y := out[j/per*C:][:C]
		from, over := s.Clean.Logits[int(q[j].Image)*C:], sigma
		if antithetic {
			from, over = outputs[(j+1)*C:], 2*sigma
		}
		for c := range y {
			y[c] = (outputs[j*C+c] - from[c]) / over
		}
	}
	return out
}

// told turns y of the directions of a record into c = e·y, what it says of the losses,
// and notes the item of each.
func (r *Record) told(e []float32, share Share, classes int, antithetic bool) []float32 {
	c := make([]float32, 0, len(r.Coefs)/classes)
	r.items = r.items[:0]
	for i, n := range share.Counts {
		for range pairs(n, antithetic) {
			j := len(c)
			c = append(c, dot(e[i*classes:(i+1)*classes], r.Coefs[j*classes:(j+1)*classes]))
			r.items = append(r.items, int32(i))
		}
	}
	return c
}

// learnChanges takes one step of least mean squares by all outputs at once,
//
//	J += gain/(1 + Width/n) · (1/n) Σ_ip (y_ip − J D_i ε_ip)(D_i ε_ip)ᵀ · diag(d)⁻¹,
//
// of n directions: as many numbers of each as there are outputs, where its loss is one.
func (j *jacobian) learnChanges(gain float64, C int, g *Guess) {
	W, n := j.Width, len(g.Coefs)
	mean := j.begin(C, g)
	if !(mean > 0) {
		return
	}
	add, rest := make([]float32, C*W), make([]float32, C)
	for d := range n {
		p := g.Carried[d*W : (d+1)*W]
		copy(rest, g.Changes[d*C:(d+1)*C])
		for c := range C {
			axpy(add[c*W:(c+1)*W], rest[c]-dot(j.j[c*W:(c+1)*W], p), p)
		}
	}
	eta := gain / (1 + float64(j.dim())/float64(n)) / float64(n)
	for k := range W {
		over := float32(eta / ((float64(j.d[k]) + linearDamp*mean) / float64(j.weight)))
		for c := range C {
			j.j[c*W+k] += over * add[c*W+k]
		}
	}
}
