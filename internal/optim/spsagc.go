package optim

import (
	"math"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
)

// GainDecay and GainOffset are spsa_gc's.
var (
	GainDecay  = settings.New("gain_decay", 0.4, "power by which the rate of step k falls", settings.From(0, 1))
	GainOffset = settings.New("gain_offset", 0.0, "steps that are added to k there", settings.From(0, 1e9))
)

func init() {
	Register("spsa_gc", func(o Options) Optimizer {
		return &spsaGC{o: o, momentum: Momentum.Of(o.Own), decay: GainDecay.Of(o.Own), offset: GainOffset.Of(o.Own), m: slots{}}
	}).Takes(Momentum, GainDecay, GainOffset).Keeps(settings.Param{Name: "look_ahead", Doc: "last move"})
}

// spsaGC is SPSA with gradient correction (BlackVIP; Oh et al. 2023, arXiv
// 2303.14773, equation 4): a momentum whose gradient is taken where it leads,
//
//	m ← βm − a_k·ĝ(φ + βm)      φ ← φ + m      a_k = lr/(k+o)^α, k from 1
//
// The model's weights are θ = φ + βm, where the next gradient is asked, so that
// θ ← θ − βm + (1+β)m′. They are also what is evaluated and saved. The paper shrinks
// the noise as well, by k^−0.1; estimator.sigma stays as it is.
type spsaGC struct {
	o                       Options
	momentum, decay, offset float64
	m                       slots
	k                       int
}

func (s *spsaGC) Name() string { return "spsa_gc" }

func (s *spsaGC) Step(params []*forward.Param, lr float64) {
	rate, mu := s.count(lr), float32(s.momentum)
	for _, p := range params {
		m := s.m.of(p)
		keep := decay(p, s.o, lr)
		for i, g := range p.Grad {
			next := mu*m[i] - rate*g
			p.Data[i] = keep*p.Data[i] - mu*m[i] + (1+mu)*next
			m[i] = next
		}
	}
}

// count begins a step and returns its rate.
func (s *spsaGC) count(lr float64) float32 {
	s.k++
	return float32(lr / math.Pow(float64(s.k)+s.offset, s.decay))
}

// Kind implements Ruled.
func (s *spsaGC) Kind() (string, int) { return query.RuleLookAhead, 1 }

// Rules implements Ruled.
func (s *spsaGC) Rules(params []*forward.Param, lr float64) (out []query.Rule) {
	rate, mu := s.count(lr), float32(s.momentum)
	for _, p := range params {
		out = append(out, query.Rule{Kind: query.RuleLookAhead, Kept: [][]float32{s.m.of(p)},
			Numbers: []float32{mu, rate, decay(p, s.o, lr), 1 + mu}})
	}
	return out
}

// spsaSteps is the name of the number of steps among the tensors of State.
const spsaSteps = "spsa_gc.steps"

func (s *spsaGC) State() map[string][]float32 {
	out := s.m.named("look_ahead")
	out[spsaSteps] = []float32{float32(s.k)}
	return out
}

func (s *spsaGC) Restore(t map[string][]float32) error {
	s.k = 0
	if v := t[spsaSteps]; len(v) == 1 {
		s.k = int(v[0])
	}
	rest := map[string][]float32{}
	for name, v := range t {
		if name != spsaSteps {
			rest[name] = v
		}
	}
	return s.m.restore("look_ahead", rest)
}
