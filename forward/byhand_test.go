package forward

import (
	"math"
	"testing"
)

// byHand is learned feedback written down from docs/method.md, number by number.
type byHand struct {
	m  *ladder
	o  LocalOptions
	j  [][]float64 // per layer: classes×wide
	mo []moment
	v  []float64 // of the last step and per item: the mean of r² over directions, times their dimensions
}

// moment are the running means of a layer, before they are divided.
type moment struct{ te, tt, he, hh, gg, all float64 }

func (h *byHand) asked(b int) bool { return !(h.o.Above && h.m.layers[b].Last) }

// runs is what noise at the rows of a layer is to its Jacobian, and of the latter's
// gradient what each row has.
func (h *byHand) runs(b int, to func(wide, row int, share float64)) {
	x, from := &h.m.layers[b], 0
	for r, end := range x.Runs {
		for row := from; row < end; row++ {
			for k := range x.Width {
				to(r*x.Width+k, row*x.Width+k, 1/math.Sqrt(float64(end-from)))
			}
		}
		from = end
	}
}

// scales are a, s and κ of a layer.
func (h *byHand) scales(b int) (a, s, kappa float64) {
	m, last := h.mo[b], h.m.layers[b].Last
	if h.o.Above {
		if a = 1; !last && m.tt > 0 {
			a = min(1.5, max(0, m.te/m.tt))
		}
	}
	if s = 1; h.o.Scaled && m.hh > 0 {
		s = min(3, max(0, m.he/m.hh))
	}
	if kappa = h.o.Kappa; kappa < 0 {
		if kappa = 0; m.all > 0 {
			kappa = min(1, max(0, 4*m.gg/m.all))
		}
	}
	if !h.asked(b) {
		s, kappa = 0, 0
	}
	return a, s, kappa
}

// step is the gradient at the rows read of every layer, by item, and learns.
func (h *byHand) step(number uint32, counts []int, chance []float32) (at [][][]float64) {
	m, L, C, B := h.m, len(h.m.layers), ladderClasses, float64(h.m.items)
	n, dims, per, noisy := 0.0, 0.0, h.o.perPair(), 0.0
	h.v = make([]float64, m.items)
	var weight []float64
	var sum float64
	for i, c := range counts {
		w := 1.0
		if h.o.Weigh {
			w = 0
			for _, v := range m.e[i*C : (i+1)*C] {
				w += float64(v) * float64(v)
			}
		}
		weight, n, sum = append(weight, w), n+float64(c/per), sum+w*float64(c/per)
	}
	for i := range weight {
		weight[i] = min(4, weight[i]*n/sum)
	}
	var hat, run [][][]float64 // ĝ and Jᵀe, per layer and item
	for b, x := range m.layers {
		a, s, _ := h.scales(b)
		var g, u [][]float64
		for i := range m.items {
			to, of := make([]float64, x.noise()), make([]float64, x.wide())
			for k := range of {
				for c := range C {
					of[k] += h.j[b][c*x.wide()+k] * float64(m.e[i*C+c])
				}
			}
			for k, v := range m.known(L-1, i) {
				to[k] = a * v
			}
			h.runs(b, func(wide, row int, share float64) { to[row] += s * share * of[wide] })
			g, u = append(g, to), append(u, of)
		}
		hat, run = append(hat, g), append(run, u)
		if h.asked(b) {
			dims, noisy = dims+float64(x.wide()), noisy+float64(x.noise())
		}
	}
	add, halves, next := make([][]float64, L), make([][2][]float64, L), make([]moment, L)
	for b, x := range m.layers {
		add[b], halves[b] = make([]float64, C*x.wide()), [2][]float64{make([]float64, x.noise()), make([]float64, x.noise())}
		var g [][]float64
		for i := range m.items {
			v := make([]float64, x.noise())
			for k := range v {
				v[k] = hat[b][i][k] / B
			}
			g = append(g, v)
		}
		at = append(at, g)
	}
	for i, c := range counts {
		t := m.known(L-1, i)
		for p := range c / per {
			y, above, e := make([]float64, C), make([]float64, C), m.e[i*C:(i+1)*C]
			eps, d := make([][]float32, L), make([][]float64, L)
			for b, x := range m.layers {
				if d[b] = make([]float64, x.wide()); !h.asked(b) {
					continue
				}
				eps[b] = m.eps(number, b, i, p)
				m.times(y, b, i, 1, eps[b])
				if a, _, _ := h.scales(b); h.o.Above {
					m.times(above, L-1, i, a, eps[b])
				}
				h.runs(b, func(wide, row int, share float64) { d[b][wide] += share * float64(eps[b][row]) })
			}
			said, unknown, left, rest := 0.0, 0.0, 0.0, make([]float64, C)
			for c := range C {
				said, unknown = said+float64(e[c])*y[c], unknown+float64(e[c])*(y[c]-above[c])
				rest[c] = y[c] - above[c]
			}
			left = said
			for b := range eps {
				for k, v := range eps[b] {
					left -= hat[b][i][k] * float64(v)
				}
				for c := range C {
					for k, v := range d[b] {
						rest[c] -= h.j[b][c*len(d[b])+k] * v
					}
				}
			}
			h.v[i] += left * left / float64(c/per) * noisy
			pi := 1.0
			if chance != nil {
				pi = float64(chance[i])
			}
			for b := range eps {
				_, _, kappa := h.scales(b)
				over := left / (B * pi * float64(c/per))
				for k, v := range eps[b] {
					at[b][i][k] += kappa * over * float64(v)
					halves[b][i%2][k] += over * float64(v)
					next[b].te += said * float64(v) * t[k] / n
					next[b].tt += t[k] * t[k] / n
				}
				for k, v := range d[b] {
					next[b].he += unknown * v * run[b][i][k] / n
					next[b].hh += run[b][i][k] * run[b][i][k] / n
					for c := range C {
						add[b][c*len(d[b])+k] += weight[i] * rest[c] * v
					}
				}
			}
		}
	}
	for b := range m.layers {
		if !h.asked(b) {
			continue
		}
		for k, v := range add[b] {
			h.j[b][k] += h.o.Gain / (1 + dims/n) * v / n
		}
		for k, v := range halves[b][0] {
			w := halves[b][1][k]
			next[b].gg, next[b].all = next[b].gg+v*w, next[b].all+(v+w)*(v+w)
		}
		was, now := &h.mo[b], next[b]
		if was.tt == 0 {
			was.te, was.tt = now.tt, now.tt // all of t before there is anything to compare
		}
		for _, v := range [][2]*float64{{&was.te, &now.te}, {&was.tt, &now.tt}, {&was.he, &now.he}, {&was.hh, &now.hh},
			{&was.gg, &now.gg}, {&was.all, &now.all}} {
			*v[0] = 0.95**v[0] + 0.05**v[1]
		}
	}
	return at
}

func flat(v [][]float64) (out []float64) {
	for _, x := range v {
		out = append(out, x...)
	}
	return out
}

func doubles(v []float32) (out []float64) {
	for _, x := range v {
		out = append(out, float64(x))
	}
	return out
}

// same compares numbers by their largest.
func same(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	size, off := 1e-9, 0.0
	for k, w := range want {
		size, off = max(size, math.Abs(w)), max(off, math.Abs(float64(got[k])-w))
	}
	if !(off <= 1e-4*size) {
		t.Fatalf("%s: off by %.2g of %.2g", what, off, size)
	}
}
