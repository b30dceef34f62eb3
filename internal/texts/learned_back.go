package texts

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
)

// Backward adds the gradient of the mean loss. At the texts' embeddings it is closed,
// ∂J/∂t_k = scale/B·Σ_i (∂ℓ_i/∂z_ik)·u_i less its part along t_k, over |t_k|; before
// them it is the text tower's.
func (m *Model) Backward(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	d, ok := m.loss.(objective.Differentiable)
	if !ok {
		return nil, fmt.Errorf("texts: objective %s has no gradient", m.loss.Name())
	}
	images, err := m.embed(ctx, b, true)
	if err != nil {
		return nil, err
	}
	m.texts = nil
	t, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	c, err := m.answer(b, images, t)
	if err != nil {
		return nil, err
	}
	dz := make([]float32, b.Size*m.classes)
	if err := d.Grad(dz, c.Logits, b.Size, m.classes, b.Labels, 1/float32(b.Size)); err != nil {
		return nil, err
	}
	return c, m.throughTexts(ctx, m.textSlopes(dz, images, t, b.Size))
}

// textSlopes is ∂J/∂t_k of all classes, from that by the logits.
func (m *Model) textSlopes(dz, images, texts []float32, n int) []float32 {
	width := m.tower.Width()
	u, v := units(images, width), units(texts, width)
	out := make([]float32, len(texts))
	sum := make([]float64, width)
	for k := range m.classes {
		clear(sum)
		for i := range n {
			for j := range width {
				sum[j] += m.tower.Scale * float64(dz[i*m.classes+k]) * float64(u[i*width+j])
			}
		}
		t := v[k*width : (k+1)*width]
		var along float64
		for j, x := range t {
			along += sum[j] * float64(x)
		}
		length := max(objective.Norm(texts[k*width:(k+1)*width]), 1e-30)
		for j, x := range t {
			out[k*width+j] = float32((sum[j] - along*float64(x)) / length)
		}
	}
	return out
}

// throughTexts adds to theta's gradient what slopes at the embeddings are there.
func (m *Model) throughTexts(ctx context.Context, w []float32) error {
	t := m.tower
	p := t.Weights.Params()[t.Weights.Index(ContextName)]
	per := m.rows * t.Arch.Hidden
	m.shape.Make(p.Data[:per], m.theta())
	p.Grad = make([]float32, len(p.Data))
	defer func() { p.Grad = nil }()
	width := t.Width()
	for lo := 0; lo < m.classes; lo += width { // a text's number is below the width of the outputs
		n := min(width, m.classes-lo)
		b := &forward.Batch{Size: n}
		for k := range n {
			slot := 0
			if m.each {
				slot = lo + k
			}
			b.Inputs = m.text(b.Inputs, lo+k, slot)
			b.Labels, b.Index = append(b.Labels, int32(k)), append(b.Index, int32(k))
		}
		// The mean over the texts takes the factor back.
		t.slopes = slopes{w: scaled(w[lo*width:(lo+n)*width], float32(n)), width: width}
		if _, err := t.model.Backward(ctx, b); err != nil {
			return err
		}
		m.counts.Texts += int64(n)
		m.back += 2 * int64(n) * t.model.ForwardFLOPs()
	}
	grads := make([][]float32, len(m.params))
	for i, p := range m.params {
		if grads[i] = p.Grad; p.Grad == nil { // of one that is not trained
			grads[i] = make([]float32, len(p.Data))
		}
	}
	m.shape.Back(grads, p.Grad[:per], m.theta())
	return nil
}

func scaled(w []float32, f float32) []float32 {
	out := make([]float32, len(w))
	for i, v := range w {
		out[i] = f * v
	}
	return out
}
