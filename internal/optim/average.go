package optim

import (
	"fmt"
	"slices"

	"github.com/flops-vit/flops/forward"
)

// Average follows the weights of a run: after update t, counted from 1, every
// averaged weight is a ← d·a + (1−d)·w with d = min(decay, (1+t)/(10+t)), so that a
// short run does not average in the weights that it began with (the rule of
// TensorFlow's ExponentialMovingAverage). Averages of the iterates have less of the
// gradient's noise (Polyak and Juditsky, SIAM J. Control Optim. 30, 1992).
type Average struct {
	decay  float64
	params []*forward.Param
	avg    slots
}

// NewAverage begins to average parameters as they are now.
func NewAverage(decay float64, params []*forward.Param) *Average {
	a := &Average{decay: decay, params: params, avg: slots{}}
	for _, p := range params {
		copy(a.avg.of(p), p.Data)
	}
	return a
}

// Update takes in the weights after an update, counted from 1.
func (a *Average) Update(t int) {
	keep := float32(min(a.decay, float64(1+t)/float64(10+t)))
	for _, p := range a.params {
		avg := a.avg.of(p)
		for i, w := range p.Data {
			avg[i] = keep*avg[i] + (1-keep)*w
		}
	}
}

// Of is the average of a parameter; nil where it is not averaged.
func (a *Average) Of(name string) []float32 { return a.avg[name] }

// Swap exchanges the weights and their averages.
func (a *Average) Swap() {
	for _, p := range a.params {
		for i, v := range a.avg.of(p) {
			a.avg[p.Name][i], p.Data[i] = p.Data[i], v
		}
	}
}

// lastWeights names what a checkpoint keeps beside the average, which is its model.
const lastWeights = "last_weights"

// State names the weights that a run goes on from, PARAMETER.last_weights.
func (a *Average) State() map[string][]float32 {
	out := map[string][]float32{}
	for _, p := range a.params {
		out[p.Name+"."+lastWeights] = slices.Clone(p.Data)
	}
	return out
}

// Restore takes the weights that the parameters hold for their averages, and theirs
// out of a state: what is left in it is an optimizer's.
func (a *Average) Restore(state map[string][]float32) error {
	for _, p := range a.params {
		w := state[p.Name+"."+lastWeights]
		if len(w) != len(p.Data) {
			return fmt.Errorf("optim: no weights of %s beside the average", p.Name)
		}
		copy(a.avg.of(p), p.Data)
		copy(p.Data, w)
		delete(state, p.Name+"."+lastWeights)
	}
	return nil
}
