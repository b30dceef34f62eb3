package directions

import (
	"sync"

	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/noise"
)

// Span is a few directions among the Width numbers of a row: orthonormal rows of so many
// numbers, which may still be written to while no noise is made.
type Span struct {
	Width int
	Rows  []float32
}

// Dim is how many directions there are.
func (s Span) Dim() int { return len(s.Rows) / s.Width }

// Within is the source whose noise of some sites lies in spans: each row of a site's
// outputs is Σ_k z_k b_k, with b_k the directions of its span and z the numbers of src,
// Dim of them a row. Its covariance is the projection on the span. Noise of other sites is
// src's. Offsets and lengths are those of whole rows.
func Within(src noise.Source, spans map[int]Span) noise.Source {
	if len(spans) == 0 {
		return src
	}
	return &within{Source: src, spans: spans}
}

type within struct {
	noise.Source
	spans map[int]Span
	room  sync.Pool // of *spanned
}

// spanned is memory for the rows of one call.
type spanned struct{ z, e []float32 }

// MaxDim implements what noise.MaxDim asks.
func (w *within) MaxDim() int { return noise.MaxDim(w.Source) }

// row is ε of dst's rows, in memory that done takes back; nil of a site without a span.
func (w *within) row(n int, c noise.Counter, offset int) *spanned {
	s, ok := w.spans[int(c.Site)]
	if !ok {
		return nil
	}
	if n%s.Width != 0 || offset%s.Width != 0 {
		panic("directions: noise of a part of a row")
	}
	m, _ := w.room.Get().(*spanned)
	if m == nil {
		m = &spanned{}
	}
	r := s.Dim()
	m.z, m.e = kernel.Grow(&m.z, n/s.Width*r), kernel.Grow(&m.e, n)
	clear(m.e)
	w.Source.Fill(m.z, c, offset/s.Width*r)
	for t := range n / s.Width {
		at := m.e[t*s.Width : (t+1)*s.Width]
		for k, z := range m.z[t*r : (t+1)*r] {
			kernel.Axpy(at, z, s.Rows[k*s.Width:(k+1)*s.Width])
		}
	}
	return m
}

// Fill implements noise.Source.
func (w *within) Fill(dst []float32, c noise.Counter, offset int) {
	m := w.row(len(dst), c, offset)
	if m == nil {
		w.Source.Fill(dst, c, offset)
		return
	}
	copy(dst, m.e)
	w.room.Put(m)
}

// AddScaled implements noise.Source.
func (w *within) AddScaled(dst, z []float32, scale float32, c noise.Counter, offset int) {
	m := w.row(len(dst), c, offset)
	if m == nil {
		w.Source.AddScaled(dst, z, scale, c, offset)
		return
	}
	copy(dst, z[:len(dst)])
	kernel.Axpy(dst, scale, m.e)
	w.room.Put(m)
}

// Axpy implements noise.Source.
func (w *within) Axpy(dst []float32, coef float32, c noise.Counter, offset int) {
	w.AddScaled(dst, dst, coef, c, offset)
}
