package vit

import (
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// rope says how rows are turned by their places (rotary positions in two
// dimensions): those of high×wide patches from row first on; the rows before are
// left. Of each head's d values, the pair of k and k+d/2 turns by the angle
// 2π·y·θ^(−4k/d) for k < d/4 and 2π·x·θ^(−4(k−d/4)/d) above, with y and x from −1
// to 1 the place of the patch's middle.
type rope struct {
	first, high, wide, heads int
	theta                    float64
}

// angles are cosine and sine of each patch and k < d/2.
func (r rope) angles(head int) (cos, sin []float32) {
	half, quarter := head/2, head/4
	cos, sin = make([]float32, r.high*r.wide*half), make([]float32, r.high*r.wide*half)
	for p := range r.high * r.wide {
		y := 2*(float64(p/r.wide)+0.5)/float64(r.high) - 1
		x := 2*(float64(p%r.wide)+0.5)/float64(r.wide) - 1
		for k := range half {
			place := y
			if k >= quarter {
				place = x
			}
			a := 2 * math.Pi * place * math.Pow(r.theta, -4*float64(k%quarter)/float64(head))
			cos[p*half+k], sin[p*half+k] = float32(math.Cos(a)), float32(math.Sin(a))
		}
	}
	return cos, sin
}

// Angles are the cosines and sines by which an OpTurn turns: of each patch, and of
// k below half a head's width.
func Angles(s Spec) (cos, sin []float32) {
	return rope{s.Offset, s.High, s.Wide, s.Heads, s.Theta}.angles(s.Width / s.Heads)
}

// turn turns rows by their places.
func (g *graph) turn(name string, x act, r rope) *gorgonia.Node {
	g.out.place()
	cos, sin := r.angles(x.width / r.heads)
	o := g.turnOp(name, x, r, cos, sin, false)
	o.grad = func(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		return gorgonia.Nodes{g.apply(g.turnOp(name+".dx", x, r, cos, sin, true), dy)}, g.err
	}
	return g.apply(o, x.node)
}

// turnOp is the turn or, which is its gradient, that back.
func (g *graph) turnOp(name string, x act, r rope, cos, sin []float32, back bool) *FusedOp {
	f, rows, width := g.feed, x.rows, x.width
	half := width / r.heads / 2
	o := g.op(Spec{Kind: OpTurn, Name: name, Rows: rows, Width: width, Offset: r.first, High: r.high, Wide: r.wide,
		Heads: r.heads, Theta: r.theta, Back: back})
	sign := float32(1)
	if back {
		sign = -1
	}
	o.run = func(out []float32, v [][]float32) {
		n := f.Slots * rows * width
		copy(out[:n], v[0][:n])
		for s := 0; s < f.Slots; s++ {
			for row := r.first; row < rows; row++ {
				c, w := cos[(row-r.first)*half:][:half], sin[(row-r.first)*half:][:half]
				y := out[(s*rows+row)*width:][:width]
				for h := 0; h < width; h += 2 * half {
					lo, hi := y[h:h+half], y[h+half:h+2*half]
					for k, u := range lo {
						lo[k] = u*c[k] - sign*hi[k]*w[k]
						hi[k] = hi[k]*c[k] + sign*u*w[k]
					}
				}
			}
		}
	}
	return o
}

// relative is a table of biases that attention adds to its scores, and the row of
// it for every query and key, −1 where nothing is added; no table: none.
type relative struct {
	table          string
	lo, high, wide int // first row, and the patches
	index          []int32
}

// relativeBias is the bias of every head, row and key, from a column of the table
// for each head; it is the same for every slot.
func (g *graph) relativeBias(name string, r relative, rows, keys, heads int) *gorgonia.Node {
	g.out.place()
	table := g.net.param(r.table)
	entries := table.Shape[0]
	name += ".bias"
	spec := Spec{Kind: OpBias, Name: name, Heads: heads, Keys: keys, InRows: rows, Offset: r.lo, High: r.high,
		Wide: r.wide}
	o := g.op(spec)
	o.shape = tensor.Shape{heads * rows, keys}
	n := rows * keys
	o.run = func(out []float32, v [][]float32) {
		for h := range heads {
			for i, at := range r.index {
				if out[h*n+i] = 0; at >= 0 {
					out[h*n+i] = v[0][int(at)*heads+h]
				}
			}
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		spec.Kind, spec.Name = OpBiasGrad, name+".dt"
		d := g.op(spec)
		d.shape = tensor.Shape{entries, heads}
		d.run = func(out []float32, v [][]float32) {
			clear(out)
			for h := range heads {
				for i, at := range r.index {
					if at >= 0 {
						out[int(at)*heads+h] += v[0][h*n+i]
					}
				}
			}
		}
		return gorgonia.Nodes{g.apply(d, dy)}, g.err
	}
	return g.apply(o, g.param(table))
}
