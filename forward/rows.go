package forward

import (
	"math"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/noise"
)

// some is how many of the other rows of a layer's output are drawn; 0: they are all
// there.
func (l *local) some(b int) int {
	x := &l.layers[b]
	if k := int(math.Ceil(l.o.Rows * float64(x.Outs-1))); l.o.Rows > 0 && x.Some && x.Reads == 1 && x.First == 0 && k < x.Outs-1 {
		return k
	}
	return 0
}

// someRows draws rows of the gradient at a layer's output, of each item as many: with
// chances π that follow the lengths of their gradients, by systematic sampling, and
// each over its π. The mean over draws is the gradient at all rows, and so is that of
// what is made of it, which is linear in it.
func (l *local) someRows(s *Step, b int, g LayerGradient) (LayerGradient, error) {
	k, n := l.some(b), s.Batch.Size
	if k == 0 || g.Rest == nil {
		return g, nil
	}
	W, T := l.layers[b].Width, l.layers[b].Outs
	l.drawn, l.rows = room(l.drawn, n*k*W), room(l.rows, n*k)
	clear(l.drawn)
	clear(l.rows)
	draws := noise.Rand(l.o.Seed, noise.Rows, s.Number, uint32(l.o.Sites[b]))
	size := make([]float64, T-1)
	for i := range n {
		rest := g.Rest[i*T*W:][:T*W]
		for r := range size {
			x := rest[(r+1)*W:][:W]
			size[r] = math.Sqrt(float64(dot(x, x)))
		}
		share, err := alloc.Draw(size, k, alloc.Limits{Least: 1}, 0, draws.Float64())
		if err != nil {
			return g, err
		}
		at := i * k
		for r, count := range share.Counts {
			if count > 0 {
				l.rows[at] = int32(r + 1)
				axpy(l.drawn[at*W:][:W], 1/share.Chance[r], rest[(r+1)*W:][:W])
				at++
			}
		}
	}
	g.Rest, g.Rows = l.drawn, l.rows
	return g, nil
}
