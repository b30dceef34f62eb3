package forward

// Summed is a Model that knows what the products of a gradient at its sites cost; of
// another they are those of the rows that reach the loss.
type Summed interface {
	Model
	// SumFLOPs is the cost of E_iᵀ x_i of one item at a site.
	SumFLOPs(site int) int64
}

// QueryFLOPs is the cost of one query of a perturbation: what follows the first
// noisy site or, where weights are perturbed, what the model computes again.
func QueryFLOPs(m Model, p Perturbation) int64 {
	if p.Kind == Weights {
		if r, ok := As[Resumable](m); ok {
			return r.WeightFLOPs()
		}
		if c, ok := As[Costed](m); ok {
			return c.ForwardFLOPs()
		}
		return 0
	}
	return m.Sites()[p.Sites[0]].FLOPs
}

// SumFLOPs is the cost of E_iᵀ x_i of one item at a site.
func SumFLOPs(m Model, site int) int64 {
	if s, ok := As[Summed](m); ok {
		return s.SumFLOPs(site)
	}
	s := m.Sites()[site]
	return 2 * int64(s.Live) * int64(s.In) * int64(s.Out)
}

// passFLOPs is the cost of a perturbation's queries, and of the gradient of so many
// items that is made of them. Those of a joint one run again when the gradient is
// made, each with its own inputs.
func passFLOPs(m Model, p Perturbation, queries, items int64) int64 {
	n := queries * QueryFLOPs(m, p)
	if len(p.Sites) > 1 {
		n, items = 2*n, queries
	}
	for _, s := range p.Sites {
		n += items * SumFLOPs(m, s)
	}
	return n
}

// StepCost implements Asker.
func (a *activation) StepCost(m Model, step uint32, items, queries int64) (asked, flops int64) {
	for _, p := range a.Plan(step) {
		asked += queries
		flops += passFLOPs(m, p, queries, a.summed(p, items, min(items, queries/int64(a.perPair()))))
	}
	return asked, flops + a.exactFLOPs(m, items)
}

// exactFLOPs is the cost of the gradients that are known.
func (a *activation) exactFLOPs(m Model, items int64) (n int64) {
	for _, s := range a.exact {
		n += items * SumFLOPs(m, s)
	}
	return n
}

// summed are the items of which a perturbation's gradient is made: those that were
// asked, or all where it is predicted of all.
func (a *activation) summed(p Perturbation, items, asked int64) int64 {
	if a.o.Surrogate != nil && len(p.Sites) == 1 && a.o.Surrogate.Predicts(p.Sites[0]) {
		return items
	}
	return asked
}

// StepCost implements Asker.
func (w *weight) StepCost(m Model, step uint32, _, queries int64) (asked, flops int64) {
	for _, p := range w.Plan(step) {
		asked += queries
		flops += passFLOPs(m, p, queries, 0)
	}
	return asked, flops
}
