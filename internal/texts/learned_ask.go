package texts

import (
	"context"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
)

// Look makes the embeddings of images beforehand, which are then known.
func (m *Model) Look(ctx context.Context, b *forward.Batch) error {
	_, err := m.embed(ctx, b, true)
	return err
}

// embed are the embeddings of a batch's images, which are asked for where they are
// not known.
func (m *Model) embed(ctx context.Context, b *forward.Batch, keep bool) ([]float32, error) {
	width := m.tower.Width()
	keep = keep && m.keep && len(b.Index) == b.Size
	out := make([]float32, b.Size*width)
	ask := &forward.Batch{}
	var at []int
	px := len(b.Inputs) / max(1, b.Size)
	for i := range b.Size {
		if keep {
			if e, ok := m.known[b.Index[i]]; ok {
				copy(out[i*width:], e)
				continue
			}
		}
		at = append(at, i)
		ask.Inputs = append(ask.Inputs, b.Inputs[i*px:(i+1)*px]...)
	}
	if ask.Size = len(at); ask.Size == 0 {
		return out, nil
	}
	c, err := m.images.Evaluate(ctx, ask)
	if err != nil {
		return nil, err
	}
	m.counts.Images += int64(ask.Size)
	for k, i := range at {
		e := c.Logits[k*width : (k+1)*width]
		copy(out[i*width:], e)
		if keep {
			m.known[b.Index[i]] = slices.Clone(e)
		}
	}
	return out, nil
}

// wanted is a class's text behind a context of m.count rows.
type wanted struct {
	class   int
	context []float32
}

// every are all classes.
func (m *Model) every() []int {
	out := make([]int, m.classes)
	for k := range out {
		out[k] = k
	}
	return out
}

// apart says whether every class's text is of a parameter of its own.
func (m *Model) apart() bool { return m.each && len(m.params) == m.classes }

// moved are the classes whose texts parameters are part of.
func (m *Model) moved(params []int) []int {
	if m.apart() {
		return params
	}
	return m.every()
}

// of are the texts of some classes at a theta.
func (m *Model) of(theta [][]float32, classes []int) []wanted {
	out, per := make([]wanted, len(classes)), m.count*m.tower.Arch.Hidden
	if m.apart() { // no other class's context is made
		for i, k := range classes {
			out[i] = wanted{k, make([]float32, per)}
			m.shape.Make(out[i].context, theta[k:k+1])
		}
		return out
	}
	contexts := make([]float32, m.rows*m.tower.Arch.Hidden)
	m.shape.Make(contexts, theta)
	for i, k := range classes {
		out[i] = wanted{k, contexts}
		if m.each {
			out[i].context = contexts[k*per : (k+1)*per]
		}
	}
	return out
}

// ask are the embeddings of texts, as many at once as there is room for their contexts;
// those of one context that follow one another share its place.
func (m *Model) ask(ctx context.Context, texts []wanted) ([]float32, error) {
	t := m.tower
	room := t.Weights.Params()[t.Weights.Index(ContextName)].Data
	per := m.count * t.Arch.Hidden
	var out []float32
	for lo := 0; lo < len(texts); {
		b, slot := &forward.Batch{}, -1
		var last *float32
		for ; lo < len(texts) && b.Size < mostAtOnce; lo++ {
			w := texts[lo]
			if &w.context[0] != last {
				if slot == m.slots-1 {
					break
				}
				slot, last = slot+1, &w.context[0]
				copy(room[slot*per:(slot+1)*per], w.context)
			}
			b.Size, b.Inputs = b.Size+1, m.text(b.Inputs, w.class, slot)
		}
		c, err := t.model.Evaluate(ctx, b)
		if err != nil {
			return nil, err
		}
		m.counts.Texts += int64(b.Size)
		out = append(out, c.Logits...)
	}
	return out, nil
}

// text appends the ids of a class behind the context of a slot.
func (m *Model) text(ids []float32, class, slot int) []float32 {
	for _, id := range m.ids[class] {
		if id < 0 {
			id -= float32(slot * m.count)
		}
		ids = append(ids, id)
	}
	return ids
}

// theta is what is trained, as it is.
func (m *Model) theta() [][]float32 {
	out := make([][]float32, len(m.params))
	for i, p := range m.params {
		out[i] = p.Data
	}
	return out
}

// now are the embeddings of the classes at theta as it is.
func (m *Model) now(ctx context.Context) ([]float32, error) {
	if m.texts != nil {
		return m.texts, nil
	}
	e, err := m.ask(ctx, m.of(m.theta(), m.every()))
	m.texts = e
	return e, err
}

// Classes is a unit row for each class at theta as it is.
func (m *Model) Classes(ctx context.Context) ([]float32, error) {
	e, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	return units(e, m.tower.Width()), nil
}

// units are rows of length one.
func units(e []float32, width int) []float32 {
	out := make([]float32, len(e))
	for lo := 0; lo < len(e); lo += width {
		length := max(objective.Norm(e[lo:lo+width]), 1e-30)
		for j, v := range e[lo : lo+width] {
			out[lo+j] = float32(float64(v) / length)
		}
	}
	return out
}

// Evaluate is what the model says of a batch that is not learned from.
func (m *Model) Evaluate(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	e, err := m.embed(ctx, b, false)
	if err != nil {
		return nil, err
	}
	t, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	return m.answer(b, e, t)
}

// answer compares embeddings of a batch with the classes.
func (m *Model) answer(b *forward.Batch, images, texts []float32) (*forward.Clean, error) {
	c := &forward.Clean{Logits: make([]float32, b.Size*m.classes), Classes: m.classes, Features: images,
		Dim: m.tower.Width()}
	m.tower.Logits(c.Logits, images, units(texts, m.tower.Width()), b.Size)
	if b.Labels == nil {
		return c, nil
	}
	c.Losses, c.Loss, c.Targets = make([]float32, b.Size), m.loss, b.Labels[:b.Size]
	return c, m.loss.Losses(c.Losses, c.Logits, b.Size, m.classes, b.Labels[:b.Size])
}
