package texts

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
)

// pass is the clean pass of a batch.
type pass struct {
	m       *Model
	batch   *forward.Batch
	images  []float32 // embeddings
	clean   *forward.Clean
	tangent *forward.Tangent // by which queries are answered; nil: by their losses
}

// Clean is what the model answered.
func (p *pass) Clean() *forward.Clean { return p.clean }

// Clean compares the batch with the classes as they are.
func (m *Model) Clean(ctx context.Context, b *forward.Batch, sites []int) (forward.Pass, error) {
	if len(sites) > 0 {
		return nil, fmt.Errorf("texts: a model behind a learned context has no sites")
	}
	if b.Labels == nil {
		return nil, fmt.Errorf("texts: a clean pass of a batch without labels")
	}
	p := &pass{m: m, batch: b}
	var err error
	if p.images, err = m.embed(ctx, b, true); err != nil {
		return nil, err
	}
	m.texts = nil // a run that goes on from here does not know them either, and pays the same
	t, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	if p.clean, err = m.answer(b, p.images, t); err != nil {
		return nil, err
	}
	if m.exact {
		if p.tangent, err = p.clean.Tangent(); err != nil {
			return nil, err
		}
	}
	m.pass = p
	return p, nil
}

// check refuses what cannot be asked of the pass.
func (p *pass) check(per *forward.Perturbation) error {
	if per.Kind != forward.Weights {
		return uierr.New("estimator.name: a learned context has no sites to perturb", "use estimator.name: weight or bp")
	}
	if p.m.pass != p {
		return forward.ErrStale
	}
	if len(per.Sigma) != 1 || len(per.Params) == 0 {
		return fmt.Errorf("texts: a perturbation of parameters %v with %d scales", per.Params, len(per.Sigma))
	}
	for _, i := range per.Params {
		if i < 0 || i >= len(p.m.params) {
			return fmt.Errorf("texts: no parameter %d of %d", i, len(p.m.params))
		}
	}
	return nil
}

// Losses asks the texts of every direction once, whatever the number of images, and only
// those that move.
func (p *pass) Losses(ctx context.Context, per *forward.Perturbation, q []forward.Query, out []float32) error {
	m := p.m
	if err := p.check(per); err != nil {
		return err
	}
	directions, which := query.Directions(q)
	classes := m.moved(per.Params)
	var ask []wanted
	for _, x := range directions {
		theta := m.theta()
		for _, i := range per.Params {
			theta[i] = make([]float32, len(m.params[i].Data))
			m.noise.AddScaled(theta[i], m.params[i].Data, float32(x.Sign)*per.Sigma[0], query.Counter(per.Step, i, x.Pair), 0)
		}
		ask = append(ask, m.of(theta, classes)...)
	}
	e, err := m.ask(ctx, ask)
	if err != nil {
		return err
	}
	width := m.tower.Width()
	rows, size := units(e, width), len(classes)*width
	z, moved, label := make([]float32, m.classes), make([]float32, len(classes)), make([]int32, 1)
	for j, x := range q {
		i := int(x.Image)
		m.tower.Logits(moved, p.images[i*width:(i+1)*width], rows[which[j]*size:(which[j]+1)*size], 1)
		copy(z, p.clean.Logits[i*m.classes:(i+1)*m.classes])
		for c, k := range classes {
			z[k] = moved[c]
		}
		if p.tangent != nil {
			p.tangent.Losses(out[j:j+1], z, q[j:j+1])
			continue
		}
		label[0] = p.batch.Labels[i]
		if err := m.loss.Losses(out[j:j+1], z, 1, m.classes, label); err != nil {
			return err
		}
	}
	return nil
}

// Accumulate adds Σ C·z to the gradients.
func (p *pass) Accumulate(_ context.Context, per *forward.Perturbation, terms []forward.Term) error {
	if err := p.check(per); err != nil {
		return err
	}
	for _, i := range per.Params {
		for _, t := range terms {
			p.m.noise.Axpy(p.m.params[i].Grad, t.Coef, query.Counter(per.Step, i, t.Pair), 0)
		}
	}
	return nil
}
