package texts

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
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

// Losses asks the texts of every direction once, whatever the number of images.
func (p *pass) Losses(ctx context.Context, per *forward.Perturbation, q []forward.Query, out []float32) error {
	m := p.m
	switch {
	case per.Kind != forward.Weights || len(per.Params) != 1 || per.Params[0] != 0 || len(per.Sigma) != 1:
		return uierr.New("estimator.name: a learned context has no sites to perturb", "use estimator.name: weight or bp")
	case m.pass != p:
		return forward.ErrStale
	}
	directions, which := query.Directions(q)
	thetas := make([][]float32, len(directions))
	for k, x := range directions {
		thetas[k] = make([]float32, len(m.param.Data))
		m.noise.AddScaled(thetas[k], m.param.Data, float32(x.Sign)*per.Sigma[0], counter(per.Step, x.Pair), 0)
	}
	e, err := m.ask(ctx, thetas)
	if err != nil {
		return err
	}
	width := m.tower.Width()
	rows := units(e, width)
	size := m.classes * width
	z, label := make([]float32, m.classes), make([]int32, 1)
	for j, x := range q {
		i := int(x.Image)
		m.tower.Logits(z, p.images[i*width:(i+1)*width], rows[which[j]*size:(which[j]+1)*size], 1)
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

// counter names the noise of theta, which is parameter 0.
func counter(step uint32, pair int32) noise.Counter {
	return noise.Counter{Step: step, Site: forward.WeightSite, Pair: uint32(pair)}
}

// Accumulate adds Σ C·z to the gradient.
func (p *pass) Accumulate(_ context.Context, per *forward.Perturbation, terms []forward.Term) error {
	m := p.m
	if m.pass != p {
		return forward.ErrStale
	}
	for _, t := range terms {
		m.noise.Axpy(m.param.Grad, t.Coef, counter(per.Step, t.Pair), 0)
	}
	return nil
}
