package remote

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/prompt"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// Model is a model that can only be called, behind a frame of learned pixels
// and a mapping of its classes to the task's. Its only parameters are the
// frame's, and it answers queries of kind Weight alone.
type Model struct {
	pool  *Pool
	frame prompt.Overlay // nil: no prompt, nothing to train
	mapTo prompt.Mapping
	loss  objective.Objective
	noise noise.Source

	exact   bool        // queries are answered by forward.Tangent
	follows bool        // a run elsewhere, which asks by names
	pass    *pass       // the last Clean
	perturb [][]float32 // the frame's parameters under each direction
}

var _ query.Metered = (*Model)(nil)

// NewModel puts a frame (or nil), a mapping and an objective around a pool.
func NewModel(p *Pool, f prompt.Overlay, m prompt.Mapping, loss objective.Objective, src noise.Source) (*Model, error) {
	s := p.Spec()
	if f != nil {
		if ch, h, w := f.Size(); ch != s.Channels || h != s.Height || w != s.Width {
			return nil, uierr.New(fmt.Sprintf("prompt: a frame for images of %d×%d×%d, and model %s takes %d×%d×%d",
				ch, h, w, s.Name, s.Channels, s.Height, s.Width), "give the data the model's size")
		}
	}
	if m.Model() != s.Classes {
		return nil, uierr.New(fmt.Sprintf("prompt.mapping: is for %d classes, and model %s has %d", m.Model(),
			s.Name, s.Classes), "map to the model's classes")
	}
	if _, coupled := loss.(objective.Coupled); coupled {
		return nil, uierr.New("objective.kind: "+loss.Name()+
			" needs embeddings, and a model that can only be called gives logits", "use model.kind: local")
	}
	return &Model{pool: p, frame: f, mapTo: m, loss: loss, noise: src}, nil
}

// Exactly answers queries by the slope of the loss at the answers, forward.Tangent, where
// the objective has one.
func (m *Model) Exactly() { m.exact = true }

// Pool is what the model calls through; its Counts are the ledger's queries.
func (m *Model) Pool() *Pool { return m.pool }

// Spent is what the run has to pay for so far.
func (m *Model) Spent() int64 { return m.pool.meter.Spent() }

// Mapping turns the model's answers into logits of the task.
func (m *Model) Mapping() prompt.Mapping { return m.mapTo }

// LearnMapping asks the model, without the prompt, about labelled images of a
// task and uses the mapping that learn makes of its answers.
func (m *Model) LearnMapping(ctx context.Context, b *forward.Batch, task int, learn prompt.Learner) error {
	s := m.pool.Spec()
	if err := m.check(b); err != nil {
		return err
	}
	px, logits := s.Pixels(), make([]float32, b.Size*s.Classes)
	err := m.pool.Ask(ctx, b.Size, func(i int, dst []float32) { copy(dst, b.Inputs[i*px:(i+1)*px]) }, logits)
	if err != nil {
		return err
	}
	to, err := learn(logits, s.Classes, b.Labels[:b.Size], task)
	if err == nil {
		m.mapTo, m.pass = to, nil
	}
	return err
}

// Params is the frame.
func (m *Model) Params() []*forward.Param {
	if m.frame == nil {
		return nil
	}
	return []*forward.Param{m.frame.Trained()}
}

// Sites is empty: nothing inside the model can be reached.
func (m *Model) Sites() []forward.Site { return nil }

// Touch does nothing: every call reads the parameters anew.
func (m *Model) Touch() {}

// ForwardFLOPs is 0: nobody knows what a call costs the server.
func (m *Model) ForwardFLOPs() int64 { return 0 }

// Device is wherever the model answers.
func (m *Model) Device() string { return "called model " + m.pool.Spec().Name }

// Close ends the calls.
func (m *Model) Close() error { return m.pool.Close() }

func (m *Model) check(b *forward.Batch) error {
	if s := m.pool.Spec(); len(b.Inputs) < b.Size*s.Pixels() || b.Labels != nil && len(b.Labels) < b.Size {
		return uierr.New(fmt.Sprintf("data: a batch of %d images has %d values and %d labels, and model %s takes %d×%d×%d",
			b.Size, len(b.Inputs), len(b.Labels), s.Name, s.Channels, s.Height, s.Width),
			"give the data the model's size")
	}
	return nil
}

// prepare is what the frame keeps of each image of a batch.
func (m *Model) prepare(dst []float32, b *forward.Batch) ([]float32, error) {
	if err := m.check(b); err != nil {
		return nil, err
	}
	px := m.pool.Spec().Pixels()
	if cap(dst) < b.Size*px {
		dst = make([]float32, b.Size*px)
	}
	dst = dst[:b.Size*px]
	for i := range b.Size {
		m.shape(dst[i*px:(i+1)*px], b.Inputs[i*px:(i+1)*px])
	}
	return dst, nil
}

func (m *Model) shape(dst, img []float32) {
	if m.frame == nil {
		copy(dst, img)
		return
	}
	m.frame.Prepare(dst, img)
}

// apply writes a prepared image behind a frame of the given pixels.
func (m *Model) apply(dst, prepared, data []float32) {
	if m.frame == nil {
		copy(dst, prepared)
		return
	}
	m.frame.Apply(dst, prepared, data)
}

// Evaluate asks about a batch and keeps nothing.
func (m *Model) Evaluate(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	prepared, err := m.prepare(nil, b)
	if err != nil {
		return nil, err
	}
	var name func(int) Name
	switch query.SplitOf(ctx) {
	case "validation":
		name = m.names(OfValidation, b)
	case "test":
		name = m.names(OfTest, b)
	}
	return m.ask(ctx, b, prepared, name)
}

func (m *Model) ask(ctx context.Context, b *forward.Batch, prepared []float32,
	name func(int) Name) (*forward.Clean, error) {
	var data []float32
	if m.frame != nil {
		data = m.frame.Trained().Data
	}
	px, task := m.pool.Spec().Pixels(), m.mapTo.Task()
	logits, err := m.logits(ctx, b.Size, func(i int, dst []float32) {
		m.apply(dst, prepared[i*px:(i+1)*px], data)
	}, name)
	if err != nil {
		return nil, err
	}
	c := &forward.Clean{Logits: logits, Classes: task}
	if b.Labels == nil {
		return c, nil
	}
	c.Losses, c.Loss, c.Targets = make([]float32, b.Size), m.loss, b.Labels[:b.Size]
	return c, m.loss.Losses(c.Losses, logits, b.Size, task, b.Labels[:b.Size])
}

// logits asks about n images and maps the answers to the task's classes.
func (m *Model) logits(ctx context.Context, n int, image Images, name func(int) Name) ([]float32, error) {
	raw := make([]float32, n*m.pool.Spec().Classes)
	if err := m.pool.Shared(ctx, n, image, name, raw); err != nil {
		return nil, err
	}
	out := make([]float32, n*m.mapTo.Task())
	m.mapTo.Apply(out, raw, n)
	return out, nil
}
