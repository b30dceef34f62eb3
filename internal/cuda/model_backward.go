package cuda

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// Backward adds the gradient of the batch's mean loss to every trained
// parameter, by Gorgonia's differentiation of the same graph, summed on the
// device over the micro-batches.
func (m *Model) Backward(ctx context.Context, b *query.Batch) (*query.Clean, error) {
	if m.hostLoss() {
		return nil, uierr.New("estimator.name: bp of the objective "+m.opt.Loss.Name()+" is not computed on a GPU", "set train.device: cpu, or objective.kind: cross_entropy")
	}
	if !m.backward {
		m.backward = true
		if err := m.release(); err != nil {
			return nil, err
		}
	}
	loss, err := m.bound(b)
	if err == nil && loss == nil {
		err = fmt.Errorf("cuda: a gradient of a batch without labels")
	}
	if err == nil {
		err = m.begin(b, nil)
	}
	if err != nil {
		return nil, err
	}
	trained, index := m.trained()
	c := m.net.Answer(b.N, loss)
	begun := false
	for lo := 0; lo < b.N; lo += m.l.batch {
		n := min(m.l.batch, b.N-lo)
		if err := m.backwardPart(ctx, b, lo, n, trained, index, &begun); err != nil {
			return nil, err
		}
		if err := m.answer(c, lo, n); err != nil {
			return nil, err
		}
	}
	for _, i := range index {
		if err := m.download(i); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// trained lists the network's parameters that have a gradient, and their places
// in Params. What a graph does not read (an objective's own parameter) is left
// out.
func (m *Model) trained() (trained []*query.Param, index []int) {
	for i, p := range m.net.Params() {
		if p.Grad != nil && !owned(p) {
			trained, index = append(trained, p), append(index, i)
		}
	}
	return trained, index
}

// gradient builds the forward with the gradient by the trained parameters.
func (m *Model) gradient() func(slots int) (*vit.Program, []string, error) {
	trained, _ := m.trained()
	return func(slots int) (*vit.Program, []string, error) {
		p, err := m.net.GradientProgram(slots, trained)
		return p, []string{m.net.Features().Name}, err
	}
}

func (m *Model) backwardPart(ctx context.Context, b *query.Batch, lo, n int, trained []*query.Param, index []int, begun *bool) error {
	p, err := m.program(fmt.Sprint("gradient", index), min(n, m.opt.Slots), 0, m.gradient())
	if err != nil {
		return err
	}
	image, label, seed := m.queryArrays(0), m.queryArrays(1), floatsOf(m.l.queries[4*4*queryRoom:4*5*queryRoom])
	for i := 0; i < n; i++ {
		image[i], label[i], seed[i] = int32(i), b.Labels[lo+i], 1/float32(b.N)
	}
	if err := m.sendQueries(n, 5); err != nil {
		return err
	}
	size := len(b.X) / b.N
	if err := m.sendPixels(b, lo, n); err != nil {
		return err
	}
	for at := 0; at < n; at += p.Slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		k := min(p.Slots, n-at)
		p.vm.Set(Run{N: k, Slots: m.l.slotsAt(at), Images: m.l.images + Ptr(4*at*size), Seed: m.l.coef})
		if err := p.vm.RunAll(); err != nil {
			return err
		}
		if err := m.collect(p, at, k, false); err != nil {
			return err
		}
		for j, i := range index {
			v, count := p.vm.Value(p.Grads[j]), int64(len(trained[j].Data))
			if !*begun {
				err = m.dev.CopyWithin(m.l.grads[i], v, 4*count, Compute)
			} else {
				err = m.dev.Add(m.l.grads[i], m.l.grads[i], v, count)
			}
			if err != nil {
				return err
			}
		}
		*begun = true
	}
	return nil
}
