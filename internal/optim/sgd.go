package optim

import (
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
)

// Momentum is sgd's.
var Momentum = settings.New("momentum", 0.9, "share of the last update that is kept", settings.From(0, 0.99999))

func init() {
	Register("sgd", func(o Options) Optimizer {
		return &sgd{o: o, momentum: Momentum.Of(o.Own), v: slots{}}
	}).Takes(Momentum).Keeps(settings.Param{Name: "momentum", Doc: "running update, before the rate"})
}

// sgd is gradient descent with heavy-ball momentum: v ← μv + g, θ ← θ − lr·v,
// and decoupled weight decay θ ← θ − lr·λθ on weights of linear maps.
type sgd struct {
	o        Options
	momentum float64
	v        slots
}

func (s *sgd) Name() string { return "sgd" }

func (s *sgd) Step(params []*forward.Param, lr float64) {
	mu, rate := float32(s.momentum), float32(lr)
	for _, p := range params {
		v := s.v.of(p)
		keep := decay(p, s.o, lr)
		for i, g := range p.Grad {
			v[i] = mu*v[i] + g
			p.Data[i] = keep*p.Data[i] - rate*v[i]
		}
	}
}

// Kind implements Ruled.
func (s *sgd) Kind() (string, int) { return query.RuleSGD, 1 }

// Rules implements Ruled.
func (s *sgd) Rules(params []*forward.Param, lr float64) (out []query.Rule) {
	for _, p := range params {
		out = append(out, query.Rule{Kind: query.RuleSGD, Kept: [][]float32{s.v.of(p)},
			Numbers: []float32{float32(s.momentum), float32(lr), decay(p, s.o, lr)}})
	}
	return out
}

func (s *sgd) State() map[string][]float32 { return s.v.named("momentum") }

func (s *sgd) Restore(t map[string][]float32) error { return s.v.restore("momentum", t) }
