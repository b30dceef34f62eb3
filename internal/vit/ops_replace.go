package vit

import (
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"gorgonia.org/gorgonia"
)

// replace is x with a parameter in the place of n rows of every slot, from lo on.
func (g *graph) replace(name string, p *forward.Param, x act, lo, n int) *gorgonia.Node {
	f, rows, width := g.feed, x.rows, x.width
	o := g.op(Spec{Kind: OpReplace, Name: name, Rows: rows, Width: width, Offset: lo, Indexed: []bool{x.clean, false}})
	at := func(s int) int { return (s*rows + lo) * width }
	o.run = func(out []float32, v [][]float32) {
		for s := range f.Slots {
			from := g.slotOf(x, s) * rows * width
			copy(out[s*rows*width:(s+1)*rows*width], v[0][from:])
			copy(out[at(s):at(s)+n*width], v[1])
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx := g.op(Spec{Kind: OpReplaceGrad, Name: name + ".dx", Rows: rows, Width: width, Offset: lo})
		dx.run = func(out []float32, v [][]float32) {
			copy(out, v[0][:f.Slots*rows*width])
			for s := range f.Slots {
				clear(out[at(s) : at(s)+n*width])
			}
		}
		dp := g.op(Spec{Kind: OpReplaceGrad, Name: name + ".dp", Rows: rows, Width: width, Offset: lo, Part: 1})
		dp.shape = in[1].Shape()
		dp.run = func(out []float32, v [][]float32) {
			clear(out)
			for s := range f.Slots {
				kernel.AddTo(out, v[0][at(s):at(s)+n*width])
			}
		}
		return gorgonia.Nodes{g.apply(dx, dy), g.apply(dp, dy)}, g.err
	}
	return g.apply(o, x.node, g.param(p))
}
