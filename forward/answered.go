package forward

import "context"

// AnsweredBy is m with its queries answered by somebody else: by makes an Evaluator
// for the pass of a batch, which it may ask itself for some of them. The clean pass
// and the gradient stay m's.
func AnsweredBy(m Model, by func(b *Batch, p Pass) Evaluator) Model { return &answered{m, by} }

type answered struct {
	Model
	by func(*Batch, Pass) Evaluator
}

// Unwrap is the model whose queries are answered.
func (a *answered) Unwrap() Model { return a.Model }

// As finds what else a model is, such as Costed, behind those that wrap it with a
// method Unwrap() Model.
func As[T any](m Model) (T, bool) {
	for {
		if t, ok := m.(T); ok {
			return t, true
		}
		w, ok := m.(interface{ Unwrap() Model })
		if !ok {
			var none T
			return none, false
		}
		m = w.Unwrap()
	}
}

// PassAs finds what else a pass is, such as Exact, behind those that wrap it with a
// method Unwrap() Pass.
func PassAs[T any](p Pass) (T, bool) {
	for {
		if t, ok := p.(T); ok {
			return t, true
		}
		w, ok := p.(interface{ Unwrap() Pass })
		if !ok {
			var none T
			return none, false
		}
		p = w.Unwrap()
	}
}

// answeredPass is a pass whose queries go to another.
type answeredPass struct {
	Pass
	by Evaluator
}

// Unwrap is the model's own pass.
func (p answeredPass) Unwrap() Pass { return p.Pass }

// Clean implements Model.
func (a *answered) Clean(ctx context.Context, b *Batch, sites []int) (Pass, error) {
	p, err := a.Model.Clean(ctx, b, sites)
	if err != nil {
		return nil, err
	}
	return answeredPass{p, a.by(b, p)}, nil
}

// AskTogether implements Together.
func (p answeredPass) AskTogether(ctx context.Context, all []Questions) error {
	if t, ok := p.by.(Together); ok {
		return t.AskTogether(ctx, all)
	}
	for _, q := range all {
		by := p.by
		if q.Outputs != nil { // an Evaluator knows losses alone
			by = p.Pass
		}
		if err := q.Answer(ctx, by); err != nil {
			return err
		}
	}
	return nil
}

// Losses implements Evaluator.
func (p answeredPass) Losses(ctx context.Context, per *Perturbation, q []Query, out []float32) error {
	return p.by.Losses(ctx, per, q, out)
}
