package cuda

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/vit"
)

// Of perturbed weights, what rounding leaves of a query's signal was measured on ViT-B/16
// (docs/gpu.md): below these scales of the noise it is off by more than a tenth.
const (
	leastBF16 = 1e-3
	leastTF32 = 1e-4
)

// LeastSigma is the least scale of noise at weights that the matrix products' precision
// sees; 0: any. Noise at sites is seen at every scale.
func (m *Model) LeastSigma() float64 {
	switch b := m.b.dev.blas; {
	case b == nil || b.precision == FP32:
		return 0
	case b.precision == BF16 && m.b.dev.halves():
		return leastBF16
	}
	return leastTF32
}

// Precision says in one line how a forward whose queries are asked at some sites
// rounds, and what of it stays in floats; "" where nothing is rounded.
func (m *Model) Precision(sites []int) (string, error) {
	b := m.b
	if b.dev.blas == nil || b.dev.blas.precision == FP32 {
		return "", nil
	}
	if !b.dev.halves() || b.dev.blas.precision != BF16 {
		return fmt.Sprintf("%s: factors of matrix products; what noise changes is exact, and all else float32",
			b.dev.blas.precision), nil
	}
	p, err := b.shapes.Program(1, &vit.Forward{Features: true})
	if err != nil {
		return "", err
	}
	order, _ := vit.Schedule(p.Graph, p.Kept...)
	f := formatsOf(b.dev, p, order, Use{Sites: b.noisy(sites)}, p.Kept)
	var half, of [2]int // maps, attentions
	floats := []string{"residuals", "norms", "losses"}
	say := func(what string) {
		if !slices.Contains(floats, what) {
			floats = append(floats, what)
		}
	}
	split := false
	for _, n := range order {
		s := specOf(n)
		switch {
		case s.Kind == vit.OpLinear:
			of[0]++
			switch {
			case !f.linear(n):
				say(fmt.Sprintf("maps of widths such as %d", s.Width))
			case f.exact[n]:
				split = true
			default:
				half[0]++
			}
		case s.Kind == vit.OpAttention:
			of[1]++
			switch head := s.Width / s.Heads; {
			case s.Biased:
				say("attention with a bias on its scores")
			case halfHead(head) == 0:
				say(fmt.Sprintf("attention of heads of %d", head))
			case f.exact[n]:
				say("attention after noise")
			default:
				half[1]++
			}
		case s.Kind == vit.OpScale || s.Kind == vit.OpTurn || s.Kind == vit.OpPool || s.Kind == vit.OpProduct:
			say(map[string]string{vit.OpScale: "scales of branches", vit.OpTurn: "rotated positions", vit.OpPool: "pooling",
				vit.OpProduct: "gates"}[s.Kind])
		}
	}
	line := fmt.Sprintf("bf16: %d of %d maps, %d of %d attentions", half[0], of[0], half[1], of[1])
	if split {
		line += ", other maps as sums of three"
	}
	return line + "; float32: " + strings.Join(floats, ", "), nil
}
