package prompt

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"

	"github.com/flops-vit/flops/internal/uierr"
)

// Linear makes each logit of the task a weighted sum of the model's answers and
// a constant. It may have more classes than the model.
type Linear struct {
	model, task int
	w, b        []float32 // task×model weights, task constants
}

// NewLinear is the mapping that knows nothing: every logit is 0.
func NewLinear(model, task int) *Linear {
	return &Linear{model: model, task: task, w: make([]float32, task*model), b: make([]float32, task)}
}

// LinearOf is the mapping of a Matrix, task×model weights and task constants.
func LinearOf(weights, constants []float32) (*Linear, error) {
	task := len(constants)
	if task == 0 || len(weights) == 0 || len(weights)%task != 0 {
		return nil, fmt.Errorf("prompt: a mapping of %d weights and %d constants", len(weights), task)
	}
	return &Linear{model: len(weights) / task, task: task, w: slices.Clone(weights), b: slices.Clone(constants)}, nil
}

// Matrix is the weights and constants.
func (m *Linear) Matrix() (weights, constants []float32) {
	return slices.Clone(m.w), slices.Clone(m.b)
}

// Model is the number of the model's classes.
func (m *Linear) Model() int { return m.model }

// Task is the number of the task's classes.
func (m *Linear) Task() int { return m.task }

// Apply writes the n×Task logits.
func (m *Linear) Apply(dst, logits []float32, n int) {
	for i := range n {
		z := logits[i*m.model : (i+1)*m.model]
		for t := range m.task {
			sum := m.b[t]
			for k, v := range z {
				sum += m.w[t*m.model+k] * v
			}
			dst[i*m.task+t] = sum
		}
	}
}

// LearnLinear is a Learner of a Linear mapping: multinomial logistic regression
// on the answers, each class of the model scaled to mean 0 and variance 1 over
// the images. Every weight has a standard normal prior, so that a few images
// decide no more than they know, and the maximum of the posterior is unique.
func LearnLinear(logits []float32, model int, labels []int32, task int) (Mapping, error) {
	if err := checkAnswers(logits, model, labels, task); err != nil {
		return nil, err
	}
	n, wide := len(labels), model+1
	mean, std := moments(logits, n, model)
	x := make([]float64, n*wide)
	for i := range n {
		for k := range model {
			if std[k] > 0 {
				x[i*wide+k] = (float64(logits[i*model+k]) - mean[k]) / std[k]
			}
		}
		x[i*wide+model] = 1
	}
	p := &posterior{x: x, labels: labels, wide: wide, task: task, z: make([]float64, task)}
	res, err := optimize.Minimize(optimize.Problem{Func: func(w []float64) float64 { return p.at(w, nil) },
		Grad: func(g, w []float64) { p.at(w, g) }},
		make([]float64, task*wide), &optimize.Settings{GradientThreshold: 1e-6 * float64(n), MajorIterations: 10_000},
		&optimize.LBFGS{})
	if err != nil {
		return nil, uierr.Wrap(fmt.Errorf("prompt: %w", err),
			fmt.Sprintf("prompt.mapping.kind: linear found no weights for the model's answers (%v)", err),
			"use prompt.mapping.kind: learned")
	}
	m := NewLinear(model, task)
	for t := range task {
		constant := res.X[t*wide+model]
		for k := range model {
			if std[k] > 0 {
				w := res.X[t*wide+k] / std[k]
				m.w[t*model+k] = float32(w)
				constant -= w * mean[k]
			}
		}
		m.b[t] = float32(constant)
	}
	return m, nil
}

// moments are the mean and standard deviation of each column of n×width. A
// deviation within float32's rounding of the mean is 0: that column is constant.
func moments(v []float32, n, width int) (mean, std []float64) {
	mean, std = make([]float64, width), make([]float64, width)
	for i := range n {
		for k := range width {
			mean[k] += float64(v[i*width+k]) / float64(n)
		}
	}
	for i := range n {
		for k := range width {
			d := float64(v[i*width+k]) - mean[k]
			std[k] += d * d / float64(n)
		}
	}
	for k := range std {
		if std[k] = math.Sqrt(std[k]); std[k] <= 1e-6*math.Abs(mean[k]) {
			std[k] = 0
		}
	}
	return mean, std
}

// posterior is the negative logarithm of the weights' posterior.
type posterior struct {
	x          []float64 // n×wide
	labels     []int32
	wide, task int
	z          []float64 // logits of one image
}

// at is the value at the weights (task×wide), and writes the gradient to g
// unless that is nil.
func (p *posterior) at(w, g []float64) (f float64) {
	for j, v := range w {
		f += v * v / 2
		if g != nil {
			g[j] = v
		}
	}
	for i, l := range p.labels {
		x, top := p.x[i*p.wide:(i+1)*p.wide], math.Inf(-1)
		for t := range p.task {
			p.z[t] = 0
			for k, v := range x {
				p.z[t] += w[t*p.wide+k] * v
			}
			top = max(top, p.z[t])
		}
		var sum float64
		for _, z := range p.z {
			sum += math.Exp(z - top)
		}
		f += math.Log(sum) + top - p.z[l]
		if g == nil {
			continue
		}
		for t, z := range p.z {
			d := math.Exp(z-top) / sum
			if t == int(l) {
				d--
			}
			for k, v := range x {
				g[t*p.wide+k] += d * v
			}
		}
	}
	return f
}
