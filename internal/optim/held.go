package optim

import (
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
)

// Held is a model that keeps the gradients and takes an optimizer's steps where it
// computes.
type Held struct {
	query.Updating
	rules Ruled
}

// Hold has a model do so; it is nil where the model or the optimizer cannot.
func Hold(m forward.Model, o Optimizer) *Held {
	rules, ruled := o.(Ruled)
	u, can := forward.As[query.Updating](m)
	if !ruled || !can || !u.Hold(rules.Kind()) {
		return nil
	}
	return &Held{u, rules}
}

// Step is the optimizer's step of parameters with their numbers in Model.Params, with
// the gradients times scale. sound is false where one made a value that is no finite
// number.
func (h *Held) Step(params []*forward.Param, numbers []int, lr float64, scale float32) (sound bool, err error) {
	rules := h.rules.Rules(params, lr)
	for i := range rules {
		rules[i].Param = numbers[i]
	}
	return h.Update(rules, scale)
}
