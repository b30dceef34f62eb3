package optim

import (
	"math"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
)

// Nesterov is muon's.
var Nesterov = settings.New("nesterov", true, "step along the average that the next gradient is expected to make")

func init() {
	Register("muon", func(o Options) Optimizer {
		return &muon{o: o, momentum: Momentum.Of(o.Own), nesterov: Nesterov.Of(o.Own), m: slots{}}
	}).Takes(Momentum, Nesterov).Keeps(settings.Param{Name: "momentum_avg", Doc: "average of the gradient"})
}

// muon is Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon): an
// average of the gradient, m ← μm + (1−μ)g, looked ahead as Nesterov does,
// u = μm + (1−μ)g, is made orthogonal, so that every direction of a weight moves by
// as much. A step is scaled by 0.2·√max(rows, columns), which gives its entries the
// root mean square that AdamW's usually have, and with it AdamW's rates and decay
// (Liu et al. 2025, arXiv 2502.16982, equation 4). Tensors that are no matrix, such
// as biases, are divided by their norm and scaled to the same root mean square.
type muon struct {
	o        Options
	momentum float64
	nesterov bool
	m        slots
	hands    []hand // one for each tensor under way
}

// hand is the workspace of a tensor's step.
type hand struct {
	orth *orthogonalizer
	step []float32
}

// muonRMS is the root mean square of the entries of a step at rate 1.
const muonRMS = 0.2

func (u *muon) Name() string { return "muon" }

// Step takes tensors side by side, the large ones first, and what workers are left
// over share a tensor's products. The bits do not depend on their number.
func (u *muon) Step(params []*forward.Param, lr float64) {
	order := slices.Clone(params)
	slices.SortStableFunc(order, func(a, b *forward.Param) int { return len(b.Data) - len(a.Data) })
	for _, p := range order {
		u.m.of(p) // makes what is new, which is no work for several at once
	}
	workers := max(1, u.o.Workers)
	side := max(1, min(workers, len(order)))
	for len(u.hands) < side {
		u.hands = append(u.hands, hand{orth: newOrthogonalizer(workers / side)})
	}
	kernel.Parallel(side, len(order), func(w, i int) { u.one(&u.hands[w], order[i], lr) })
}

// one updates a tensor.
func (u *muon) one(h *hand, p *forward.Param, lr float64) {
	mu, m := float32(u.momentum), u.m.of(p)
	h.step = kernel.Grow(&h.step, len(m))
	pieces(h.orth.workers, len(m), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			g := p.Grad[i]
			m[i] = mu*m[i] + (1-mu)*g
			h.step[i] = m[i]
			if u.nesterov {
				h.step[i] = mu*m[i] + (1-mu)*g
			}
		}
	})
	rate := float32(lr * h.direct(p))
	keep := decay(p, u.o, lr)
	pieces(h.orth.workers, len(m), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			p.Data[i] = keep*p.Data[i] - rate*h.step[i]
		}
	})
}

// direct makes the step a direction and returns the factor that gives its entries
// the wanted root mean square.
func (h *hand) direct(p *forward.Param) float64 {
	if rows, cols := query.Matrix(p.Shape); rows > 1 && cols > 1 {
		h.orth.apply(h.step, rows, cols)
		return muonRMS * math.Sqrt(float64(max(rows, cols)))
	}
	n := norm(h.step)
	if n == 0 {
		return 0
	}
	for i, s := range h.step {
		h.step[i] = float32(float64(s) / n)
	}
	return muonRMS * math.Sqrt(float64(len(h.step)))
}

// Kind implements Ruled.
func (u *muon) Kind() (string, int) { return query.RuleMuon, 1 }

// Rules implements Ruled.
func (u *muon) Rules(params []*forward.Param, lr float64) (out []query.Rule) {
	mu, look := float32(u.momentum), float32(0)
	if u.nesterov {
		look = 1
	}
	for _, p := range params {
		rows, cols := query.Matrix(p.Shape)
		size := len(p.Data)
		if rows > 1 && cols > 1 {
			size = max(rows, cols)
		}
		numbers := []float32{mu, 1 - mu, look, decay(p, u.o, lr), float32(lr * (muonRMS * math.Sqrt(float64(size))))}
		out = append(out, query.Rule{Kind: query.RuleMuon, Kept: [][]float32{u.m.of(p)}, Rows: rows, Cols: cols,
			Rounds: newtonSchulzRounds, Numbers: append(numbers, newtonSchulz[:]...)})
	}
	return out
}

func (u *muon) State() map[string][]float32 { return u.m.named("momentum_avg") }

func (u *muon) Restore(t map[string][]float32) error { return u.m.restore("momentum_avg", t) }
