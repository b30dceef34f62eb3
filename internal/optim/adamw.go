package optim

import (
	"fmt"
	"math"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
)

// Settings of adamw.
var (
	Betas = settings.New("betas", []float64{0.9, 0.999}, "decays of the two averages",
		settings.Within(settings.Bound{Lo: 0, Hi: 1, HiOpen: true}),
		settings.Long("are not two decays", "give two numbers from 0 up to, not including, 1, such as [0.9, 0.999]", 2))
	Eps = settings.New("eps", 1e-8, "added to the root of the second average", settings.Above(0, 1))
)

func init() {
	Register("adamw", func(o Options) Optimizer {
		b := Betas.Of(o.Own)
		return &adamw{o: o, beta1: b[0], beta2: b[1], eps: Eps.Of(o.Own), m: slots{}, v: slots{}, t: map[string]float32{}}
	}).Takes(Betas, Eps).Keeps(
		settings.Param{Name: "exp_avg", Doc: "average of the gradient"},
		settings.Param{Name: "exp_avg_sq", Doc: "average of its square"})
}

// adamw is AdamW (Loshchilov and Hutter, ICLR 2019, algorithm 2). Each
// parameter counts its own updates, because block-coordinate schedules give a
// gradient to some parameters only.
type adamw struct {
	o                 Options
	beta1, beta2, eps float64
	m, v              slots
	t                 map[string]float32 // updates of each parameter
}

func (a *adamw) Name() string { return "adamw" }

func (a *adamw) Step(params []*forward.Param, lr float64) {
	b1, b2, eps := float32(a.beta1), float32(a.beta2), float32(a.eps)
	for _, p := range params {
		rate, fix := a.count(p, lr)
		m, v := a.m.of(p), a.v.of(p)
		keep := decay(p, a.o, lr)
		pieces(a.o.Workers, len(p.Grad), func(lo, hi int) {
			for i := lo; i < hi; i++ {
				g := p.Grad[i]
				m[i] = b1*m[i] + (1-b1)*g
				v[i] = b2*v[i] + (1-b2)*g*g
				p.Data[i] = keep*p.Data[i] - rate*m[i]/(float32(math.Sqrt(float64(v[i])))*fix+eps)
			}
		})
	}
}

// count begins an update of a parameter: the rate, and what corrects √v, both for
// averages that began at 0.
func (a *adamw) count(p *forward.Param, lr float64) (rate, fix float32) {
	a.t[p.Name]++
	t := float64(a.t[p.Name])
	return float32(lr / (1 - math.Pow(a.beta1, t))), float32(1 / math.Sqrt(1-math.Pow(a.beta2, t)))
}

// Kind implements Ruled.
func (a *adamw) Kind() (string, int) { return query.RuleAdamW, 2 }

// Rules implements Ruled.
func (a *adamw) Rules(params []*forward.Param, lr float64) (out []query.Rule) {
	b1, b2 := float32(a.beta1), float32(a.beta2)
	for _, p := range params {
		rate, fix := a.count(p, lr)
		out = append(out, query.Rule{Kind: query.RuleAdamW, Kept: [][]float32{a.m.of(p), a.v.of(p)},
			Numbers: []float32{b1, 1 - b1, b2, 1 - b2, rate, fix, float32(a.eps), decay(p, a.o, lr)}})
	}
	return out
}

func (a *adamw) State() map[string][]float32 {
	out := a.m.named("exp_avg")
	for k, v := range a.v.named("exp_avg_sq") {
		out[k] = v
	}
	for name, t := range a.t {
		out[name+".step"] = []float32{t}
	}
	return out
}

func (a *adamw) Restore(t map[string][]float32) error {
	if err := a.m.restore("exp_avg", t); err != nil {
		return err
	}
	if err := a.v.restore("exp_avg_sq", t); err != nil {
		return err
	}
	clear(a.t)
	for name := range a.m {
		step := t[name+".step"]
		if len(step) != 1 {
			return fmt.Errorf("optim: no step count of %s", name)
		}
		a.t[name] = step[0]
	}
	return nil
}
