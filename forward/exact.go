package forward

import (
	"context"
	"fmt"
)

// Graded is a Loss that knows its derivative by the outputs.
type Graded interface {
	Loss
	// Grad writes scale·∂loss_r/∂outputs_r of rows of classes numbers each.
	Grad(d, outputs []float32, rows, classes int, targets []int32, scale float32) error
}

// Known is a Model whose loss is Graded: the gradient by the map to its outputs
// needs no query.
type Known interface {
	Model
	// Known says whether passes are Exact at a site.
	Known(site int) bool
}

// Exact is a Pass that adds the gradient by the map to the outputs, (1/B) Σ_i e_iᵀ x_i
// with e_i = ∂ℓ_i/∂outputs_i, to Param.Grad: what backpropagation gives these
// parameters, without variance.
type Exact interface {
	Pass
	// AccumulateOutputs does so at a site of which the model says that it is known.
	AccumulateOutputs(ctx context.Context, site int) error
}

// OutputGradient is e_i = scale·∂ℓ_i/∂outputs_i of every item, Size×Classes, nil where
// the loss has no derivative.
func (c *Clean) OutputGradient(scale float32) ([]float32, error) {
	l, ok := c.Loss.(Graded)
	if !ok || len(c.Logits) == 0 {
		return nil, nil
	}
	n := len(c.Losses)
	e := make([]float32, n*c.Classes)
	return e, l.Grad(e, c.Logits, n, c.Classes, c.Targets, scale)
}

// known are those of the sites whose gradient the model gives without a query.
func known(m Model, sites []int) map[int]bool {
	out := map[int]bool{}
	k, ok := As[Known](m)
	if !ok {
		return out
	}
	for _, s := range sites {
		if k.Known(s) {
			out[s] = true
		}
	}
	return out
}

// accumulateOutputs adds the gradient of a record of Outputs.
func accumulateOutputs(ctx context.Context, p Pass, r *Record) error {
	e, ok := PassAs[Exact](p)
	if !ok {
		return fmt.Errorf("forward: a %T does not know the gradient by its outputs", p)
	}
	return e.AccumulateOutputs(ctx, r.Perturbation.Sites[0])
}
