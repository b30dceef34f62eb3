package train

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
)

// exact is backpropagation's gradient of a step's batch, which train.cosine compares
// the step's own with.
type exact [][]float32

// checkCosine refuses train.cosine where there is no backpropagation to compare with.
func (x *Experiment) checkCosine() error {
	if !x.Config.Train.Cosine {
		return nil
	}
	_, loss := x.loss.(objective.Differentiable)
	if _, ok := forward.As[query.Differentiable](x.Model); !ok || !loss || x.align != nil || x.words != nil {
		return uierr.New("train.cosine: true needs a model and an objective that can be differentiated",
			"leave train.cosine out of runs that call a model, learn texts or count hits")
	}
	return nil
}

// exactly is backpropagation's gradient of the batch where the next step is one after
// which the run is measured, and nil elsewhere. It counts as evaluation.
func (t *Trainer) exactly(ctx context.Context, b *forward.Batch) (exact, error) {
	if !t.X.Config.Train.Cosine || !t.X.measuredAfter(t.Step+1) {
		return nil, nil
	}
	began := time.Now()
	m, _ := forward.As[query.Differentiable](t.X.Model)
	if _, err := m.Backward(ctx, b); err != nil {
		return nil, err
	}
	n := int64(b.Size)
	t.Ledger.Charge(t.X.Model, runs.Evaluation, n, n*(m.ForwardFLOPs()+m.BackwardFLOPs()), began)
	t.X.adapters.Narrow()
	var g exact
	for _, p := range t.X.Model.Params() {
		g = append(g, append([]float32(nil), p.Grad...))
		clear(p.Grad)
	}
	return g, nil
}

// cosines are those of the gradient of some parameters, which the model has now, to g:
// of each block, and of what lies in no block.
func (t *Trainer) cosines(g exact, params []int) map[string]float64 {
	if g == nil || len(params) == 0 {
		return nil
	}
	restore := t.X.adapters.Narrow()
	defer restore()
	sums := map[string]*[3]float64{}
	for _, i := range params {
		p := t.X.Model.Params()[i]
		name := "outside"
		if p.Block >= 0 {
			name = fmt.Sprintf("block.%d", p.Block)
		}
		if sums[name] == nil {
			sums[name] = &[3]float64{}
		}
		s := sums[name]
		for k, v := range p.Grad {
			a, b := float64(v), float64(g[i][k])
			s[0], s[1], s[2] = s[0]+a*b, s[1]+a*a, s[2]+b*b
		}
	}
	out := map[string]float64{}
	for name, s := range sums {
		if s[1] > 0 && s[2] > 0 {
			out[name] = s[0] / math.Sqrt(s[1]*s[2])
		}
	}
	return out
}
