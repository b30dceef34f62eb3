package forward

// learn takes one step of the least mean squares, and of the running means.
func (f *Feedback) learn(o *LocalOptions, s *Step, r *Record) {
	C, n := f.classes, len(r.Coefs)/f.classes
	if n == 0 {
		return
	}
	e, share := f.e, s.ShareOf(r)
	add, halves := make([][]float32, len(f.layers)), make([][2][]float32, len(f.layers))
	for b, x := range f.layers {
		add[b] = make([]float32, C*x.wide())
		halves[b] = [2][]float32{make([]float32, x.noise()), make([]float32, x.noise())}
	}
	weights := f.weights(o, e, share)
	var c2, r2 float64
	agreed, met := make([]float64, len(f.layers)), make([]float64, len(f.layers))
	rest := make([]float32, C)
	_ = f.directions(o, s, r, func(i, j int, d direction) {
		y := r.Coefs[j*C : (j+1)*C]
		copy(rest, y)
		if f.above != nil {
			axpy(rest, -1, f.above[j*C:(j+1)*C])
		}
		c, unknown := dot(e[i*C:(i+1)*C], y), dot(e[i*C:(i+1)*C], rest)
		for b, x := range f.layers {
			W := x.wide()
			for c := range C {
				rest[c] -= dot(f.j[b][c*W:(c+1)*W], d.runs[b])
			}
		}
		c2, r2 = c2+float64(c)*float64(c), r2+float64(f.left[j])*float64(f.left[j])
		for b, x := range f.layers {
			W := x.wide()
			if f.top != nil {
				met[b] += float64(c) * float64(dot(d.eps[b], f.top[i*x.noise():(i+1)*x.noise()]))
			}
			agreed[b] += float64(unknown) * float64(dot(d.runs[b], f.hat[b][i*W:(i+1)*W]))
			for k := range C {
				axpy(add[b][k*W:(k+1)*W], weights[i]*rest[k], d.runs[b])
			}
			axpy(halves[b][i%2], f.left[j]/over(share, i, o.Antithetic), d.eps[b])
		}
	})
	_, dims := f.dims()
	eta := float32(o.Gain / (1 + float64(dims)/float64(n)) / float64(n))
	keep := func(v *float32, x float64) { *v = feedbackKeep**v + (1-feedbackKeep)*float32(x) }
	keep(&f.squares[0], c2/float64(n))
	keep(&f.squares[1], r2/float64(n))
	for b, x := range f.layers {
		if f.top != nil && x.Last {
			continue
		}
		axpy(f.j[b], eta, add[b])
		m := f.moments[b]
		if f.top != nil {
			t2 := asked(f.top, share, n, o.Antithetic)
			if m[above] == 0 {
				m[meets], m[above] = float32(t2), float32(t2)
			}
			keep(&m[meets], met[b]/float64(n))
			keep(&m[above], t2)
		}
		keep(&m[agree], agreed[b]/float64(n))
		keep(&m[length], asked(f.hat[b], share, n, o.Antithetic))
		g0, g1 := halves[b][0], halves[b][1]
		both := dot(g0, g1)
		keep(&m[common], float64(both))
		keep(&m[spread], float64(dot(g0, g0)+dot(g1, g1)+2*both))
	}
}

// asked is the mean over the n directions of a share of the squared length of their items'
// part of v, of which every item has as many numbers: what products with their noise are
// compared with.
func asked(v []float32, share Share, n int, antithetic bool) float64 {
	B := len(share.Counts)
	size := len(v) / B
	var sq float32
	for i, k := range share.Counts {
		w := float32(pairs(k, antithetic)*B) / float32(n)
		for _, x := range v[i*size : (i+1)*size] {
			sq += w * x * x
		}
	}
	return float64(sq) / float64(B)
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
