package directions

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/noise"
)

// TestWithin: noise of a site with a span lies in it, row by row, with the projection on
// it as its covariance; its three forms and any rows of it are the same numbers; that of
// other sites is the source's.
func TestWithin(t *testing.T) {
	const width, rows = 5, 3
	span := Span{Width: width, Rows: []float32{0.6, 0, 0.8, 0, 0, 0, 1, 0, 0, 0}}
	plain := noise.Gaussian(7)
	s := Within(plain, map[int]Span{2: span})
	if Within(plain, nil) != plain || span.Dim() != 2 || noise.MaxDim(s) != 0 {
		t.Error("a source within nothing is another, or a span has another dimension")
	}
	limit := noise.Sobol(noise.Normal, 1)
	if noise.MaxDim(Within(limit, map[int]Span{2: span})) != noise.MaxDim(limit) {
		t.Error("the longest direction of a sequence is forgotten")
	}
	var cov [width * width]float64
	const draws = 4000
	got, other := make([]float32, rows*width), make([]float32, rows*width)
	for i := range draws {
		c := noise.Counter{Step: 1, Site: 2, Image: uint32(i)}
		s.Fill(got, c, 0)
		for r := range rows {
			for a := range width {
				for b := range width {
					cov[a*width+b] += float64(got[r*width+a]) * float64(got[r*width+b])
				}
			}
		}
	}
	for a := range width {
		for b := range width {
			want := float64(span.Rows[a])*float64(span.Rows[b]) + float64(span.Rows[width+a])*float64(span.Rows[width+b])
			if v := cov[a*width+b] / (draws * rows); math.Abs(v-want) > 4.5*math.Sqrt(2./(draws*rows)) {
				t.Errorf("covariance of %d and %d is %v, want %v", a, b, v, want)
			}
		}
	}
	c := noise.Counter{Step: 1, Site: 2, Image: 9}
	s.Fill(got, c, 0)
	s.Fill(other[:width], c, width)
	z := testkit.Fill(rows*width, 1)
	sum := append([]float32{}, z...)
	s.AddScaled(sum, z, 0.5, c, 0)
	s.Axpy(z, 0.5, c, 0)
	for i := range got {
		if sum[i] != z[i] || i < width && other[i] != got[width+i] {
			t.Fatalf("number %d: %v by Fill, %v by AddScaled, %v by Axpy", i, got[i], sum[i], z[i])
		}
	}
	c.Site = 1
	s.Fill(got, c, 3)
	plain.Fill(other, c, 3)
	for i := range got {
		if got[i] != other[i] {
			t.Fatal("noise of another site is not the source's")
		}
	}
	if n := testkit.Allocations(t, 20, func() { s.Axpy(z, 1, noise.Counter{Site: 2}, 0) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
