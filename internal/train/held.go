package train

import (
	"math"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/runs"
)

// hold has the model keep the gradients and take the optimizer's steps where it and the
// optimizer can, and where nothing of the host reads weights or gradients at every step.
func (x *Experiment) hold() {
	if x.held != nil || x.Config.Train.Cosine || x.average != nil || x.adapters != nil || x.align != nil ||
		x.words != nil {
		return
	}
	x.held = optim.Hold(x.Model, x.Optimizer)
}

// release has gradients and updates be the host's again.
func (x *Experiment) release() error {
	h := x.held
	x.held = nil
	if h == nil {
		return nil
	}
	return h.Release()
}

// settle brings the weights and what the optimizer keeps up to date on the host.
func (x *Experiment) settle() error {
	if x.held == nil {
		return nil
	}
	return x.held.Fetch()
}

// forget clears the gradient before a step.
func (x *Experiment) forget() {
	if x.held != nil {
		x.held.Forget()
		return
	}
	for _, p := range x.Trained {
		clear(p.Grad)
	}
	x.adapters.Clear()
}

// squares is Σ g² of the gradients of parameters.
func (x *Experiment) squares(params []int) (sum float64, err error) {
	if x.held != nil {
		of, err := x.held.Squares(params)
		for _, v := range of {
			sum += v
		}
		return sum, err
	}
	for _, i := range params {
		for _, g := range x.Model.Params()[i].Grad {
			sum += float64(g) * float64(g)
		}
	}
	return sum, nil
}

// step clips the gradient of parameters and has the optimizer update them.
func (x *Experiment) step(with []*forward.Param, params []int, m *runs.StepMetrics) error {
	if x.held != nil {
		return x.heldStep(with, params, m)
	}
	m.GradNorm = optim.Clip(with, x.Config.Optimizer.Clip)
	if err := sound(m); err != nil {
		return err
	}
	x.Optimizer.Step(with, m.LR)
	if err := finite(with); err != nil {
		return err
	}
	x.adapters.Merge()
	x.Model.Touch()
	return nil
}

// heldStep is step where the model keeps everything.
func (x *Experiment) heldStep(with []*forward.Param, params []int, m *runs.StepMetrics) error {
	sum, err := x.squares(params)
	if err != nil {
		return err
	}
	m.GradNorm = math.Sqrt(sum)
	if err := sound(m); err != nil {
		return err
	}
	scale := optim.Shrink(m.GradNorm, x.Config.Optimizer.Clip)
	if good, err := x.held.Step(with, params, m.LR, scale); err != nil || good {
		return err
	}
	if err := x.settle(); err != nil {
		return err
	}
	return finite(with)
}
