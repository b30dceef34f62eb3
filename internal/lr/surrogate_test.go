package lr

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// wrong predicts the same wrong gradient at every step.
type wrong struct {
	forward.Surrogate
	m *vit.Model
}

func (w wrong) Predicts(int) bool { return true }

func (w wrong) Guess(s *forward.Step, site int) (*forward.Guess, error) {
	at, ok := w.m.Anchor(site)
	if !ok {
		return nil, nil
	}
	g := &forward.Guess{Site: site, Used: true, At: make([]float32, s.Batch.Size*at.Width)}
	r := noise.Rand(77, noise.Test, uint32(site))
	for i := range g.At {
		g.At[i] = float32(r.Normal())
	}
	return g, nil
}

// someDrawn draws the images 0, 1 and 2 with the chances 0.4, 0.25 and 0.7, and image
// 3 always, and gives them different numbers of directions.
func someDrawn(perPair int) func(k int) ([]int, []float32) {
	return func(k int) ([]int, []float32) {
		r := noise.Rand(31, noise.Test, uint32(k))
		chance := []float32{0.4, 0.25, 0.7, 1}
		counts := []int{2, 1, 3, 1}
		for i := range counts {
			if counts[i] *= perPair; float32(r.Float64()) >= chance[i] {
				counts[i] = 0
			}
		}
		return counts, chance
	}
}

// lastSites are the sites of the last block and after it.
func lastSites(m *vit.Model) (out []int) {
	for i, s := range m.Sites() {
		if s.Block == 1 && s.Kind != vit.Residual || s.Kind == vit.Classifier {
			out = append(out, i)
		}
	}
	return out
}

// TestSurrogateUnbiased: with a prediction that is wrong and fixed, at every kind of
// site, for pairs and single directions, uneven counts and drawn images, the mean of
// many estimates agrees with central finite differences within 4.5 standard errors;
// and it does not where the correction by what the queries say of the prediction is
// left out.
func TestSurrogateUnbiased(t *testing.T) {
	m, b, src := tiny(t, true)
	missed, compared := 0, 0
	for _, site := range lastSites(m) {
		if _, ok := m.Anchor(site); !ok {
			t.Fatalf("%s has no anchor", m.Sites()[site].Name)
		}
		params := m.Sites()[site].Params()
		us := directions(t, m, b, params)
		var want []float64
		for _, u := range us {
			want = append(want, slope(t, m, b, params, u))
		}
		for _, c := range []struct{ antithetic, draw, spoil bool }{{true, false, false}, {false, true, false},
			{true, true, false}, {false, false, true}} {
			f, err := forward.Activation(m, forward.Options{Antithetic: c.antithetic, Sigma: 0.01, Sites: []int{site},
				Noise: src, Surrogate: wrong{m: m}})
			if err != nil {
				t.Fatal(err)
			}
			e := asker{f}
			var draw func(int) ([]int, []float32)
			if c.draw {
				draw = someDrawn(1)
				if c.antithetic {
					draw = someDrawn(2)
				}
			}
			var spoil func(*forward.Step, []forward.Record)
			if c.spoil {
				spoil = func(s *forward.Step, r []forward.Record) { uncorrected(t, e, s, r) }
			}
			for k, s := range drawn(t, m, e, b, uneven, params, us, spoil, draw) {
				z := s.z(want[k])
				switch {
				case c.spoil:
					compared++
					if math.Abs(z) > limit {
						missed++
					}
				case math.Abs(z) > limit || s.sq == 0:
					t.Errorf("%s, %+v, direction %d: mean %.5g, finite difference %.5g, %.1f standard errors apart",
						m.Sites()[site].Name, c, k, s.sum/s.n, want[k], z)
				}
			}
		}
	}
	if missed < 7 {
		t.Errorf("a prediction without its correction was noticed in %d of %d comparisons", missed, compared)
	}
}

// uncorrected adds to what queries said what was predicted of it, so that nothing is
// taken off again.
func uncorrected(t *testing.T, e Asker, s *forward.Step, records []forward.Record) {
	if err := e.Accumulate(t.Context(), s, records); err != nil {
		t.Fatal(err)
	}
	for k := range records {
		r := &records[k]
		for j, c := range r.Coefs {
			r.Coefs[j] = c + (c - r.Left[j])
		}
	}
}
