package lr

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lora"
	"github.com/flops-vit/flops/internal/testkit"
)

// TestAdaptersUnbiased: the mean of many estimates by noise at the sites' outputs, carried
// through to the factors of adapters beside their weights, agrees with finite differences
// by the factors, at every kind of map and for uneven counts; and does not where the
// weight 1/P_i of each image is left out.
func TestAdaptersUnbiased(t *testing.T) {
	m, b, src := tiny(t, true)
	missed := 0
	for i, s := range m.Sites() {
		if s.Weight < 0 || s.Block != 1 {
			continue
		}
		w := m.Params()[s.Weight]
		set := lora.New([]*forward.Param{w}, lora.Options{Rank: 2, Alpha: 3, Seed: 1})
		factors := set.Params()
		copy(factors[1].Data, testkit.Fill(len(factors[1].Data), 0.4))
		merge := func() {
			set.Merge()
			m.Reload()
		}
		merge()
		e, err := newAsker("activation", m, Options{Antithetic: true, Sigma: 0.01, Sites: []int{i}, Noise: src})
		if err != nil {
			t.Fatal(err)
		}
		var us [2][]float32 // a direction of A and one of B
		for f, p := range factors {
			us[f] = testkit.Fill(len(p.Data), 0.9)
		}
		mean := func(spoil bool) (out [2]sample) {
			for k := range draws() {
				estimate(t, m, e, b, uint32(k), uneven, nil, func(_ *forward.Step, r []forward.Record) {
					for j, q := range forward.Planned(nil, 0, uneven, true) {
						if spoil && q.Sign > 0 {
							r[0].Coefs[j/2] *= float32(uneven[q.Image]) / 7
						}
					}
				})
				set.Through([]*forward.Param{w})
				for f, p := range factors {
					var sum float64
					for j, g := range p.Grad {
						sum += float64(g) * float64(us[f][j])
					}
					out[f].add(sum)
				}
			}
			return out
		}
		right, wrong := mean(false), mean(true)
		for f, p := range factors {
			want := derivative(p.Data, us[f], 1e-3, func() float64 {
				merge()
				return meanLoss(t, m, b)
			})
			if z := right[f].z(want); math.Abs(z) > limit || right[f].sq == 0 {
				t.Errorf("%s, %s: mean %.5g, finite difference %.5g, %.1f standard errors apart", s.Name, p.Name,
					right[f].sum/right[f].n, want, z)
			}
			if math.Abs(wrong[f].z(want)) > limit {
				missed++
			}
		}
		for _, p := range factors {
			clear(p.Data)
		}
		merge()
	}
	if missed == 0 {
		t.Error("leaving out 1/P_i was noticed in none of 12 comparisons")
	}
}
