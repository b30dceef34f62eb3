package vit

import (
	"github.com/flops-vit/flops/internal/kernel"
	"gorgonia.org/gorgonia"
)

// gather is n of each slot's rows, those that the feed names.
func (g *graph) gather(name string, x act, n int) *gorgonia.Node {
	f, rows, d := g.feed, x.rows, x.width
	o := g.op(Spec{Kind: OpGather, Name: name, Rows: n, InRows: rows, Width: d})
	o.run = func(out []float32, v [][]float32) {
		for k, r := range f.Rows[:f.Slots*n] {
			copy(out[k*d:(k+1)*d], v[0][(k/n*rows+int(r))*d:])
		}
	}
	o.grad = func(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx := g.op(Spec{Kind: OpScatter, Name: name + ".dx", Rows: rows, InRows: n, Width: d})
		dx.run = func(out []float32, v [][]float32) {
			clear(out[:f.Slots*rows*d])
			for k, r := range f.Rows[:f.Slots*n] {
				at := (k/n*rows + int(r)) * d
				kernel.AddTo(out[at:at+d], v[0][k*d:(k+1)*d])
			}
		}
		return gorgonia.Nodes{g.apply(dx, dy)}, g.err
	}
	return g.apply(o, x.node)
}
