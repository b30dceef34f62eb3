package vit

import (
	"github.com/flops-vit/flops/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// linear is z = x Wᵀ + b (without b where the map has none), with f(z) in place of z, and res added
// at the end where it is not nil. x is (slots·rows)×in. A residual that is a
// clean activation is read at each slot's image; x never is, because a linear
// map of a clean activation is one itself.
func (g *graph) linear(name string, l *linear, x act, rows int, f Act, res *act) *gorgonia.Node {
	feed, n := g.feed, l.out
	in := []*gorgonia.Node{x.node, g.param(l.w)}
	if l.b != nil {
		in = append(in, g.param(l.b))
	}
	idx, at := make([]bool, len(in)), len(in) // at: where the residual stands among the inputs
	if res != nil {
		in, idx = append(in, res.node), append(idx, res.clean)
	}
	o := g.op(Spec{Kind: OpLinear, Name: name, Rows: rows, Width: n, Bias: l.b != nil, Act: f, Indexed: idx})
	var ep kernel.Epilogue
	o.run = func(out []float32, v [][]float32) {
		if l.half && g.suffix {
			g.differences(l, out, v, rows, f, res, at)
			return
		}
		ep = kernel.Epilogue{GELU: f == GELU}
		if l.b != nil {
			ep.Bias = v[2]
		}
		if res != nil && !res.clean {
			ep.Residual, ep.LdRes = v[at], n
		}
		if l.half {
			kernel.GemmHalf(out, n, v[0], l.in, feed.Slots*rows, l.bf16(), &ep, &feed.half)
		} else {
			kernel.Gemm(out, n, v[0], l.in, feed.Slots*rows, l.nt(), &ep, &feed.gemm)
		}
		if f != GELU { // which is the product's own
			f.apply(out[:feed.Slots*rows*n], out[:feed.Slots*rows*n])
		}
		if res != nil && res.clean {
			g.addResidual(out, v[at], rows*n, *res)
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		return g.linearGrad(name, l, in, dy, rows)
	}
	return g.apply(o, in...)
}

// linearGrad builds dx = dz W, dW = dzᵀ x, or what is wanted of it, and db = Σ dz; the
// residual's gradient is dz itself.
func (g *graph) linearGrad(name string, l *linear, in gorgonia.Nodes, dy *gorgonia.Node, rows int) (gorgonia.Nodes,
	error) {
	f := g.feed
	dx := g.op(Spec{Kind: OpLinearDX, Name: name + ".dx", Rows: rows, Width: l.in})
	dx.run = func(out []float32, v [][]float32) {
		kernel.Gemm(out, l.in, v[0], l.out, f.Slots*rows, l.nn(), &kernel.Epilogue{}, &f.gemm)
	}
	dw := g.op(Spec{Kind: OpLinearDW, Name: name + ".dw", Rows: rows})
	dw.shape = tensor.Shape(l.w.Shape)
	dw.run = func(out []float32, v [][]float32) {
		kernel.GemmTN(out, l.in, v[0], l.out, v[1], l.in, l.out, l.in, f.Slots*rows, false, &f.gemm)
	}
	if t := l.thin; t != nil {
		dw.shape = tensor.Shape{t.Values()}
		dw.run = func(out []float32, v [][]float32) { t.Gradient(out, v[0], v[1], f.Slots*rows, &f.thin, &f.gemm) }
	}
	out := gorgonia.Nodes{g.apply(dx, dy, in[1]), g.apply(dw, dy, in[0])}
	if l.b != nil {
		out = append(out, g.apply(g.colSum(name+".db", rows, l.out), dy))
	}
	if len(in) > len(out) {
		out = append(out, dy)
	}
	return out, g.err
}

// colSum adds the rows of its input.
func (g *graph) colSum(name string, rows, width int) *FusedOp {
	f := g.feed
	o := g.op(Spec{Kind: OpColSum, Name: name, Rows: rows, Width: width})
	o.shape = tensor.Shape{width}
	o.run = func(out []float32, v [][]float32) {
		clear(out)
		for r := 0; r < f.Slots*rows; r++ {
			kernel.AddTo(out, v[0][r*width:(r+1)*width])
		}
	}
	return o
}

// activation is an activation function alone, where a suffix starts before it.
func (g *graph) activation(name string, x act, f Act) *gorgonia.Node {
	feed, rows, width := g.feed, x.rows, x.width
	name = string(f) + "." + name
	o := g.op(Spec{Kind: OpAct, Name: name, Rows: rows, Width: width, Act: f})
	o.run = func(out []float32, v [][]float32) {
		n := feed.Slots * rows * width
		f.apply(out[:n], v[0][:n])
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		d := g.op(Spec{Kind: OpActGrad, Name: name + ".dx", Rows: rows, Width: width, Act: f})
		d.run = func(out []float32, v [][]float32) {
			n := feed.Slots * rows * width
			f.grad(out[:n], v[0][:n], v[1][:n])
		}
		return gorgonia.Nodes{g.apply(d, in[0], dy)}, g.err
	}
	return g.apply(o, x.node)
}

// norm is the layer norm of rows of d values, of which one row of x may hold
// several.
func (g *graph) norm(name, base string, x act, rows, d int, eps float32) *gorgonia.Node {
	f := g.feed
	shape := tensor.Shape{g.slots * x.rows, x.width}
	gamma, beta := g.net.param(base+".weight"), g.net.param(base+".bias")
	o := g.op(Spec{Kind: OpNorm, Name: name, Rows: rows, Width: d, Eps: eps})
	o.shape = shape
	o.run = func(out []float32, v [][]float32) {
		kernel.LayerNormRows(out, d, v[0], d, f.Slots*rows, d, v[1], v[2], eps, nil, nil)
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx := g.op(Spec{Kind: OpNormDX, Name: name + ".dx", Rows: rows, Width: d, Eps: eps})
		dx.shape = shape
		dx.run = func(out []float32, v [][]float32) { g.normGrad(out, nil, v, f.Slots*rows, d, eps) }
		dg := g.op(Spec{Kind: OpNormDG, Name: name + ".dg", Rows: rows, Width: d, Eps: eps})
		dg.shape = tensor.Shape{d}
		dg.run = func(out []float32, v [][]float32) {
			clear(out)
			g.normGrad(f.buf(2, f.Slots*rows*d), out, v, f.Slots*rows, d, eps)
		}
		return gorgonia.Nodes{g.apply(dx, dy, in[0], in[1]), g.apply(dg, dy, in[0], in[1]),
			g.apply(g.colSum(name+".db", rows, d), dy)}, g.err
	}
	return g.apply(o, x.node, g.param(gamma), g.param(beta))
}

// normGrad recomputes the rows' statistics (cheaper than keeping them) and
// differentiates. v is dy, x, gamma.
func (g *graph) normGrad(dx, dgamma []float32, v [][]float32, rows, d int, eps float32) {
	f := g.feed
	stat := f.buf(0, 2*rows)
	mean, rstd := stat[:rows], stat[rows:]
	kernel.LayerNormRows(f.buf(1, rows*d), d, v[1], d, rows, d, v[2], g.zeros(d), eps, mean, rstd)
	kernel.LayerNormGradRows(dx, v[0], v[1], rows, d, v[2], mean, rstd, dgamma, nil)
}
