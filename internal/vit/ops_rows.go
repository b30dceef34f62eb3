package vit

import (
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// source is where the rows of an input stand that slot s reads, n values of them.
func (f *Feed) source(x act, v []float32, s, n int) []float32 {
	if x.clean {
		s = int(f.Image[s])
	}
	return v[s*n : (s+1)*n]
}

// scaleRows is res + gamma∘x of every row. Clean operands are read at the slot's
// image.
func (g *graph) scaleRows(name string, gamma *forward.Param, x, res act) *gorgonia.Node {
	f, rows, d := g.feed, x.rows, x.width
	n := rows * d
	o := g.op(Spec{Kind: OpScale, Name: name, Rows: rows, Width: d, Indexed: []bool{x.clean, false, res.clean}})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.Slots; s++ {
			y := out[s*n : (s+1)*n]
			kernel.MulRows(y, f.source(x, v[0], s, n), v[1])
			kernel.AddTo(y, f.source(res, v[2], s, n))
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx := g.op(Spec{Kind: OpScaleDX, Name: name + ".dx", Rows: rows, Width: d})
		dx.run = func(out []float32, v [][]float32) { kernel.MulRows(out[:f.Slots*n], v[0][:f.Slots*n], v[1]) }
		dg := g.op(Spec{Kind: OpScaleDG, Name: name + ".dg", Rows: rows, Width: d})
		dg.shape = tensor.Shape{d}
		dg.run = func(out []float32, v [][]float32) {
			clear(out)
			for r := 0; r < f.Slots*rows; r++ {
				kernel.MulAdd(out, v[0][r*d:(r+1)*d], v[1][r*d:(r+1)*d])
			}
		}
		return gorgonia.Nodes{g.apply(dx, dy, in[1]), g.apply(dg, dy, in[0]), dy}, g.err
	}
	return g.apply(o, x.node, g.param(gamma), res.node)
}

// multiply is x∘y.
func (g *graph) multiply(name string, x, y act) *gorgonia.Node {
	f, rows, d := g.feed, x.rows, x.width
	n := rows * d
	o := g.op(Spec{Kind: OpProduct, Name: name, Rows: rows, Width: d, Indexed: []bool{x.clean, y.clean}})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.Slots; s++ {
			kernel.MulRows(out[s*n:(s+1)*n], f.source(x, v[0], s, n), f.source(y, v[1], s, n))
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		part := func(by string, other *gorgonia.Node) *gorgonia.Node {
			d := g.op(Spec{Kind: OpProductGrad, Name: name + by, Rows: rows, Width: d})
			d.run = func(out []float32, v [][]float32) {
				kernel.MulRows(out[:f.Slots*n], v[0][:f.Slots*n], v[1][:f.Slots*n])
			}
			return g.apply(d, dy, other)
		}
		return gorgonia.Nodes{part(".dx", in[1]), part(".dy", in[0])}, g.err
	}
	return g.apply(o, x.node, y.node)
}

// halfSum is (x + y)/2.
func (g *graph) halfSum(name string, x, y act) *gorgonia.Node {
	f, rows, d := g.feed, x.rows, x.width
	n := rows * d
	o := g.op(Spec{Kind: OpMean, Name: name, Rows: rows, Width: d, Indexed: []bool{x.clean, y.clean}})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.Slots; s++ {
			z := out[s*n : (s+1)*n]
			kernel.Add(z, f.source(x, v[0], s, n), f.source(y, v[1], s, n))
			kernel.Scale(z, 0.5)
		}
	}
	o.grad = func(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		d := g.op(Spec{Kind: OpMeanGrad, Name: name + ".d", Rows: rows, Width: d})
		d.run = func(out []float32, v [][]float32) {
			copy(out[:f.Slots*n], v[0])
			kernel.Scale(out[:f.Slots*n], 0.5)
		}
		half := g.apply(d, dy)
		return gorgonia.Nodes{half, half}, g.err
	}
	return g.apply(o, x.node, y.node)
}

// pool says how rows become one: the mean of those from from on, after the first
// row itself where first.
type pool struct {
	first bool
	from  int
}

// poolRows is one row of all.
func (g *graph) poolRows(name string, x act, p pool) *gorgonia.Node {
	f, rows, d := g.feed, x.rows, x.width
	width, at := d, 0 // of the output, and where the mean begins in it
	if p.first {
		width, at = 2*d, d
	}
	scale := 1 / float32(rows-p.from)
	o := g.op(Spec{Kind: OpPool, Name: name, Rows: 1, InRows: rows, Width: width, Offset: p.from, First: p.first})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.Slots; s++ {
			y, x := out[s*width:(s+1)*width], v[0][s*rows*d:(s+1)*rows*d]
			copy(y[:at], x)
			mean := y[at:]
			clear(mean)
			for r := p.from; r < rows; r++ {
				kernel.AddTo(mean, x[r*d:(r+1)*d])
			}
			kernel.Scale(mean, scale)
		}
	}
	o.grad = func(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx := g.op(Spec{Kind: OpPoolGrad, Name: name + ".dx", Rows: rows, InRows: 1, Width: d, Offset: p.from,
			First: p.first})
		dx.run = func(out []float32, v [][]float32) {
			clear(out[:f.Slots*rows*d])
			for s := 0; s < f.Slots; s++ {
				x, dy := out[s*rows*d:(s+1)*rows*d], v[0][s*width:(s+1)*width]
				copy(x[:at], dy)
				for r := p.from; r < rows; r++ {
					kernel.Axpy(x[r*d:(r+1)*d], scale, dy[at:])
				}
			}
		}
		return gorgonia.Nodes{g.apply(dx, dy)}, g.err
	}
	return g.apply(o, x.node)
}

// repeat is a parameter of one row for every slot.
func (g *graph) repeat(name string, p *forward.Param, width int) *gorgonia.Node {
	f := g.feed
	o := g.op(Spec{Kind: OpRepeat, Name: name, Rows: 1, Width: width})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.Slots; s++ {
			copy(out[s*width:(s+1)*width], v[0])
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		d := g.colSum(name+".dp", 1, width)
		d.shape = in[0].Shape()
		return gorgonia.Nodes{g.apply(d, dy)}, g.err
	}
	return g.apply(o, g.param(p))
}
