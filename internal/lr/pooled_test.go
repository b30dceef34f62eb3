package lr

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/vit"
)

// average is a network of timm's whose classifier reads the mean of the patches, after
// which the norm stands.
func average() vit.Encoder {
	e := vit.Timm(tinyArch, false)
	e.Pool, e.FinalNorm, e.PooledNorm = vit.PoolMean, false, true
	return e
}

// TestLocalPooledUnbiased: where the outputs are made of the mean of the patches, of the cls
// row beside it, or of what a learned row finds among all, noise at all these rows, wrong
// and fixed Jacobians and all of the correction have the gradient as their mean, within 4.5
// standard errors of finite differences; and not without the correction.
func TestLocalPooledUnbiased(t *testing.T) {
	missed, compared := 0, 0
	for name, a := range map[string]vit.Architecture{"avgpool": average(), "dinov2": vit.DINOv2(gatedArch, 1, true),
		"siglip": vit.SigLIP(tinyArch, vit.PoolAttention)} {
		m, b, src := network(t, a, true)
		var params []int
		for i, p := range m.Params() {
			if p.Block == 0 {
				params = append(params, i)
			}
		}
		us := directions(t, m, b, params)
		for _, kappa := range []string{"1", "0"} {
			e := localOf(t, m, src, false, settings.Values{"kappa": kappa, "feedback_scale": false,
				"feedback_top": "learned"})
			for k, s := range drawn(t, m, e, b, uneven, params, us, nil, nil) {
				want := slope(t, m, b, params, us[k])
				switch z := s.z(want); {
				case kappa == "0":
					if compared++; math.Abs(z) > limit {
						missed++
					}
				case math.Abs(z) > limit || s.sq == 0:
					t.Errorf("%s, direction %d: mean %.5g, finite difference %.5g, %.1f standard errors apart", name, k,
						s.sum/s.n, want, z)
				}
			}
		}
	}
	if missed < compared-1 {
		t.Errorf("a prediction without its correction was noticed in %d of %d comparisons", missed, compared)
	}
}

// TestLocalPooledLearns: of pooled rows too the Jacobians that queries teach predict what
// others say, and bring the first block's gradient near backpropagation's.
func TestLocalPooledLearns(t *testing.T) {
	for name, a := range map[string]vit.Architecture{"avgpool": average(), "dinov2": vit.DINOv2(gatedArch, 1, true)} {
		m, b, src := network(t, a, true)
		e := localOf(t, m, src, false, settings.Values{"feedback_warmup": 400, "feedback_top": "learned"})
		if err := Predictor(e).Restore(nil); err != nil {
			t.Fatal(err)
		}
		var params []int
		for i, p := range m.Params() {
			if p.Block == 0 {
				params = append(params, i)
			}
		}
		var cosine float64
		for k := range uint32(401) {
			s, r, _ := estimate(t, m, e, b, k, []int{4, 4, 4, 4}, nil, nil)
			if k < 400 {
				if err := e.Learn(s, r.Records); err != nil {
					t.Fatal(err)
				}
				continue
			}
			cosine = along(t, m, b, params)
		}
		share := 1.0
		for _, r := range Predictor(e).Residuals() {
			share = r.Share
		}
		if cosine < 0.7 || share > 0.7 {
			t.Errorf("%s: a cosine of %.2f to backpropagation, %.2f of what queries say is not predicted", name, cosine,
				share)
		}
	}
}

// along is the cosine of the gradient that parameters have to that of backpropagation.
func along(t *testing.T, m *vit.Model, b *forward.Batch, params []int) float64 {
	t.Helper()
	var got [][]float32
	for _, i := range params {
		got = append(got, append([]float32(nil), m.Params()[i].Grad...))
	}
	clearGrads(m)
	if _, err := m.Backward(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var gw, gg, ww float64
	for k, i := range params {
		for j, w := range m.Params()[i].Grad {
			g := float64(got[k][j])
			gw, gg, ww = gw+g*float64(w), gg+g*g, ww+float64(w)*float64(w)
		}
	}
	return gw / math.Sqrt(gg*ww)
}
