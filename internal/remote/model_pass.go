package remote

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
)

// pass is the clean pass of a batch.
type pass struct {
	m        *Model
	batch    *forward.Batch
	clean    *forward.Clean
	prepared []float32        // what the frame keeps of each image
	tangent  *forward.Tangent // by which queries are answered; nil: by their losses
}

// Clean is what the model answered.
func (p *pass) Clean() *forward.Clean { return p.clean }

// Clean asks about the batch behind the frame as it is.
func (m *Model) Clean(ctx context.Context, b *forward.Batch, sites []int) (forward.Pass, error) {
	if len(sites) > 0 {
		return nil, fmt.Errorf("remote: a model that can only be called has no sites")
	}
	var room []float32
	if m.pass != nil {
		room, m.pass = m.pass.prepared, nil
	}
	prepared, err := m.prepare(room, b)
	if err == nil && b.Labels == nil {
		err = fmt.Errorf("remote: a clean pass of a batch without labels")
	}
	if err != nil {
		return nil, err
	}
	c := &forward.Clean{Classes: m.mapTo.Task()}
	if !m.follows {
		c, err = m.ask(ctx, b, prepared, m.names(OfBatch, b))
	}
	var t *forward.Tangent
	if err == nil && m.exact && !m.follows {
		t, err = c.Tangent()
	}
	if err != nil {
		return nil, err
	}
	m.pass = &pass{m, b, c, prepared, t}
	return m.pass, nil
}

// Losses asks about every query's image behind the frame θ + sign·σ·z of its
// direction, which the images share (docs/method.md (11)).
func (c *pass) Losses(ctx context.Context, p *forward.Perturbation, q []forward.Query, out []float32) error {
	m := c.m
	if err := m.checkPerturbation(p); err != nil {
		return err
	}
	if m.pass != c {
		return forward.ErrStale
	}
	if len(q) == 0 {
		return nil
	}
	at := m.directions(p, q)
	px, task := m.pool.Spec().Pixels(), m.mapTo.Task()
	logits, err := m.logits(ctx, len(q), func(j int, dst []float32) {
		i := int(q[j].Image)
		m.apply(dst, c.prepared[i*px:(i+1)*px], m.perturb[at[j]])
	}, func(j int) Name { return Name{OfBatch, q[j].Image, q[j].Pair, q[j].Sign} })
	if err != nil {
		return err
	}
	if c.tangent != nil {
		c.tangent.Losses(out, logits, q)
		return nil
	}
	labels := make([]int32, len(q))
	for j, x := range q {
		labels[j] = c.batch.Labels[x.Image]
	}
	return m.loss.Losses(out, logits, len(q), task, labels)
}

// directions makes the perturbed frame, parameter 0, of every (pair, sign) among the
// queries and says which is whose.
func (m *Model) directions(p *forward.Perturbation, q []forward.Query) []int {
	theta := m.frame.Trained().Data
	first, at := query.Directions(q)
	for k, x := range first {
		if k == len(m.perturb) {
			m.perturb = append(m.perturb, make([]float32, len(theta)))
		}
		m.noise.AddScaled(m.perturb[k], theta, float32(x.Sign)*p.Sigma[0], query.Counter(p.Step, 0, x.Pair), 0)
	}
	return at
}

func (m *Model) checkPerturbation(p *forward.Perturbation) error {
	switch {
	case p.Kind != forward.Weights:
		return uierr.New("estimator.name: a model that can only be called has no sites to perturb",
			"use estimator.name: weight")
	case m.frame == nil:
		return uierr.New("prompt.kind: none leaves nothing to train", "use prompt.kind: frame")
	case len(p.Params) != 1 || p.Params[0] != 0 || len(p.Sigma) != 1:
		return fmt.Errorf("remote: perturbation of parameters %v with %d scales, the model has one", p.Params, len(p.Sigma))
	}
	return nil
}

// Accumulate adds Σ C·z to the frame's gradient.
func (c *pass) Accumulate(_ context.Context, p *forward.Perturbation, t []forward.Term) error {
	m := c.m
	if err := m.checkPerturbation(p); err != nil {
		return err
	}
	for _, x := range t {
		m.noise.Axpy(m.frame.Trained().Grad, x.Coef, query.Counter(p.Step, 0, x.Pair), 0)
	}
	return nil
}
