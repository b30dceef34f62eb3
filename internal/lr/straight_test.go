package lr

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/vit"
)

// TestLocalStraight: without a block's own derivative the maps that add to the row alone
// have a gradient, that of the last block's last map is backpropagation's, a step costs
// less, and what nothing reaches is refused by name; in every family.
func TestLocalStraight(t *testing.T) {
	for name, a := range map[string]vit.Architecture{"vit": tinyArch, "beit": vit.BEiT(tinyArch, false),
		"dinov3": vit.DINOv3(gatedArch, 1, true), "timm": vit.Timm(tinyArch, false)} {
		m, b, src := network(t, a, true)
		if _, err := m.Backward(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		var want [][]float32
		for _, p := range m.Params() {
			want = append(want, slices.Clone(p.Grad))
		}
		adds, linear := map[int]bool{}, 0
		var maps, sites []int
		for i, s := range m.Sites() {
			if s.Kind == vit.Residual || s.Output {
				sites = append(sites, i)
			}
			if s.Block >= 0 || s.Output {
				maps = append(maps, s.Params()...)
			}
			if s.Kind == vit.MLPOut {
				for _, p := range s.Params() {
					adds[p] = true
				}
			}
			if s.Kind == vit.AttnOut {
				linear += len(s.Params())
			}
		}
		for _, form := range []string{"linear", "none"} {
			own := settings.Values{"surrogate": "local", "feedback_scale": false, "feedback_derivative": form}
			o := Options{Sigma: 0.003, Noise: src, Own: own, Sites: sites, Params: maps}
			e, err := newAsker("activation", m, o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_, _, params := estimate(t, m, e, b, 0, uneven, nil, nil)
			learn := 0
			for i, p := range m.Params() {
				some := slices.ContainsFunc(p.Grad, func(v float32) bool { return v != 0 })
				if some != slices.Contains(params, i) {
					t.Errorf("%s, %s: %s has a gradient: %v", name, form, p.Name, some)
				}
				if some && p.Block >= 0 {
					learn++
				}
				for k, w := range want[i] {
					if adds[i] && p.Block == 1 && math.Abs(float64(p.Grad[k]-w)) > 1e-3*(1+math.Abs(float64(w))) {
						t.Fatalf("%s, %s, %s: %v, by backpropagation %v", name, form, p.Name, p.Grad[k], w)
					}
				}
			}
			if n := map[string]int{"linear": len(adds) + linear, "none": len(adds)}[form]; learn != n {
				t.Errorf("%s, %s: %d parameters of blocks learn, want %d", name, form, learn, n)
			}
			own["feedback_derivative"] = "block"
			block, err := newAsker("activation", m, o)
			if err != nil || block.Cost(m, 0, 4, 4).FLOPs <= e.Cost(m, 0, 4, 4).FLOPs {
				t.Errorf("%s, %s: it costs no less: %v", name, form, err)
			}
			own["feedback_derivative"] = form
			for i, p := range m.Params() {
				if p.Role == "cls_token" {
					o.Params = append(slices.Clone(maps), i)
				}
			}
			if _, err := newAsker("activation", m, o); err == nil || !strings.Contains(err.Error(), "nothing reaches it") {
				t.Errorf("%s, %s: a token below the blocks: %v", name, form, err)
			}
		}
	}
}
