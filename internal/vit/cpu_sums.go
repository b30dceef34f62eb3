package vit

import (
	"context"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/noise"
)

// weightChunk is the number of values of a tensor that one worker perturbs at a
// time; a whole number of noise groups.
const weightChunk = 1 << 15

// piece is some values of a parameter.
type piece struct{ param, lo, hi int }

// pieces cuts parameters, of which lengths says how many values each has.
func (c *cpu) pieces(params []int, length func(*forward.Param) int) []piece {
	var work []piece
	for _, i := range params {
		n := length(c.net.params[i])
		for lo := 0; lo < n; lo += weightChunk {
			work = append(work, piece{i, lo, min(n, lo+weightChunk)})
		}
	}
	return work
}

func (c *cpu) Save(params []int) error {
	for _, i := range params {
		p := c.net.params[i]
		if c.saved[i] == nil {
			c.saved[i] = make([]float32, len(p.Data))
		}
		copy(c.saved[i], p.Data)
	}
	return nil
}

func (c *cpu) Restore(params []int) error {
	for _, i := range params {
		copy(c.net.params[i].Data, c.saved[i])
	}
	c.Changed(params)
	return nil
}

func (c *cpu) Perturb(ctx context.Context, params []int, at int) error {
	work := c.pieces(params, func(p *forward.Param) int { return len(p.Data) })
	pair, coef := c.list.Queries[at].Pair, c.list.Coef[at]
	err := c.each(ctx, len(work), func(_ *worker, i int) error {
		w := work[i]
		c.noise.AddScaled(c.net.params[w.param].Data[w.lo:w.hi], c.saved[w.param][w.lo:w.hi], coef,
			query.Counter(c.list.Step, w.param, pair), w.lo)
		return nil
	})
	c.Changed(params)
	return err
}

func (c *cpu) SumWeights(ctx context.Context, params []int, step uint32, terms []forward.Term) error {
	work := c.pieces(params, func(p *forward.Param) int { return len(p.Grad) })
	return c.each(ctx, len(work), func(_ *worker, i int) error {
		w := work[i]
		for _, x := range terms {
			c.noise.Axpy(c.net.params[w.param].Grad[w.lo:w.hi], x.Coef, query.Counter(step, w.param, x.Pair), w.lo)
		}
		return nil
	})
}

// Collect has nothing to add: the gradients are the sums.
func (c *cpu) Collect([]int) error { return nil }

// scratchE is the memory of E, the noise of every image weighted by its
// coefficients (docs/method.md (7)).
type scratchE struct {
	e     []float32
	first []int // per image: where its terms begin
}

// make makes room for E of the first images, of n values each, and finds each
// image's terms.
func (s *scratchE) make(terms []forward.Term, images, n int) []float32 {
	if cap(s.e) < images*n {
		s.e = make([]float32, images*n)
	}
	s.first = s.first[:0]
	j := 0
	for i := 0; i <= images; i++ {
		for j < len(terms) && int(terms[j].Image) < i {
			j++
		}
		s.first = append(s.first, j)
	}
	return s.e[:images*n]
}

func (c *cpu) SumSite(ctx context.Context, site int, in Activation, step uint32, terms []forward.Term) error {
	s := c.net.sites[site]
	n := in.Rows * s.Out
	lo, hi := int(terms[0].Image), int(terms[len(terms)-1].Image)+1 // images that have terms
	e := c.terms.make(terms, hi, n)
	err := c.each(ctx, hi-lo, func(_ *worker, i int) error {
		i += lo
		row := e[i*n : (i+1)*n]
		clear(row)
		for _, t := range terms[c.terms.first[i]:c.terms.first[i+1]] {
			at := noise.Counter{Step: step, Site: uint32(site), Image: uint32(t.Image), Pair: uint32(t.Pair)}
			c.noise.Axpy(row, t.Coef, at, 0)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.product(ctx, s, c.net.store.tensors[in.Name].data[lo*in.Rows*s.In:], e[lo*n:], (hi-lo)*in.Rows)
}

// SumRows adds micro-batch by micro-batch, as Run does.
func (c *cpu) SumRows(ctx context.Context, site int, in Activation, lo int, e []float32) error {
	s := c.net.sites[site]
	gw, gb := c.net.siteGrads(s)
	x := c.net.store.tensors[in.Name].data[lo*in.Rows*s.In:]
	rows, some := len(e)/s.Out, c.net.slots(nil)*in.Rows
	pieces := (s.Out + gradRows - 1) / gradRows
	return c.each(ctx, pieces+1, func(w *worker, i int) error {
		bias := i == pieces
		if bias && gb == nil || !bias && gw == nil {
			return nil
		}
		at := i * gradRows
		n := min(gradRows, s.Out-at)
		for from := 0; from < rows; from += some {
			k := min(some, rows-from)
			if bias {
				sum := w.buf(0, s.Out)
				clear(sum)
				biasRows(sum, e[from*s.Out:], k)
				kernel.AddTo(gb, sum)
				continue
			}
			sum := w.buf(0, n*s.In)
			kernel.GemmTN(sum, s.In, e[from*s.Out+at:], s.Out, x[from*s.In:], s.In, n, s.In, k, false, &w.gemm)
			kernel.AddTo(gw[at*s.In:(at+n)*s.In], sum)
		}
		return nil
	})
}

// gradRows is how many outputs of a site one worker turns into rows of dW at a time.
const gradRows = 64

// product adds eᵀx to the weight's gradient and e's column sums to the bias's;
// pieces of dW are independent, so that workers never share a sum.
func (c *cpu) product(ctx context.Context, s forward.Site, x, e []float32, rows int) error {
	gw, gb := c.net.siteGrads(s)
	pieces := (s.Out + gradRows - 1) / gradRows
	return c.each(ctx, pieces+1, func(w *worker, i int) error {
		if i == pieces {
			biasRows(gb, e, rows)
			return nil
		}
		if gw == nil {
			return nil
		}
		lo := i * gradRows
		n := min(gradRows, s.Out-lo)
		kernel.GemmTN(gw[lo*s.In:], s.In, e[lo:], s.Out, x, s.In, n, s.In, rows, true, &w.gemm)
		return nil
	})
}

// addQueries adds the share of one micro-batch, n queries from at on, to one
// site's gradient, query by query in their order.
func (c *cpu) addQueries(w *worker, p *compiled, site int, in Activation, at, n int, coef []float32) {
	s := c.net.sites[site]
	gw, gb := c.net.siteGrads(s)
	out, width := in.Rows*s.Out, in.Rows*s.In
	e, x := w.buf(0, n*out), w.buf(1, n*width)
	clear(e)
	tap := p.Taps[in.Name]
	for j, q := range c.list.Queries[at : at+n] {
		c.noise.Axpy(e[j*out:(j+1)*out], coef[at+j], p.feed.counter(j, site), 0)
		from, i := c.net.store.tensors[in.Name], int(q.Image)
		if tap != nil {
			copy(x[j*width:(j+1)*width], values(tap)[j*width:])
		} else {
			copy(x[j*width:(j+1)*width], from.data[i*width:])
		}
	}
	if gw != nil {
		kernel.GemmTN(gw, s.In, e, s.Out, x, s.In, s.Out, s.In, n*in.Rows, true, &w.gemm)
	}
	biasRows(gb, e, n*in.Rows)
}

// biasRows adds the rows of e to a bias gradient, where there is one.
func biasRows(grad, e []float32, rows int) {
	if n := len(grad); n > 0 {
		for r := range rows {
			kernel.AddTo(grad, e[r*n:(r+1)*n])
		}
	}
}
