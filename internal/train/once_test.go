package train

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/testkit"
)

// TestEachParameterOnce: a step lists every parameter that it gives a gradient once, so
// that an optimizer moves it once, by the rate times the gradient; and none of whose
// feedback warms up, so that nothing moves or decays.
func TestEachParameterOnce(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(methods())) {
		c := methods()[name]
		c.Optimizer.Name, c.Optimizer.LR, c.Optimizer.WeightDecay, c.Optimizer.Schedule = "sgd", 0.5, 0, "constant"
		c.Optimizer.Own = optim.Momentum.With(c.Optimizer.Own, 0)
		x := open(t, c)
		tr := NewTrainer(x)
		for range 4 {
			b, err := tr.batch()
			testkit.Must(t, err)
			s, r, params, err := tr.ask(t.Context(), b, x.Config.QueriesAt(tr.Step))
			testkit.Must(t, err)
			if once := slices.Compact(slices.Sorted(slices.Values(params))); len(once) != len(params) {
				t.Errorf("%s, step %d: %d of %d parameters are listed more than once", name, tr.Step, len(params)-len(once),
					len(params))
			}
			local := slices.Contains([]string{"local", "feedback"}, lr.Surrogate.Of(c.Estimator.Own))
			if warms := local && tr.Step < lr.FeedbackWarmup.Of(c.Estimator.Own); warms != (len(params) == 0) {
				t.Errorf("%s, step %d: %d parameters have a gradient", name, tr.Step, len(params))
			}
			was, grads := map[*forward.Param][]float32{}, map[*forward.Param][]float32{}
			for _, i := range params { // of which weights beside adapters are none that is trained
				if p := x.Model.Params()[i]; slices.Contains(x.Trained, p) {
					was[p], grads[p] = slices.Clone(p.Data), slices.Clone(p.Grad)
				}
			}
			_, err = tr.update(s, r.Records, params)
			testkit.Must(t, err)
			for p, w := range was {
				for k, v := range w {
					if want := v - 0.5*grads[p][k]; math.Abs(float64(p.Data[k]-want)) > 1e-6 {
						t.Fatalf("%s, step %d: %s[%d] is %v, wanted %v", name, tr.Step, p.Name, k, p.Data[k], want)
					}
				}
			}
		}
	}
}
