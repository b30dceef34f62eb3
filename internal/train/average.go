package train

import (
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/optim"
)

// openAverage begins to average the trained weights, where the config wants it.
func (x *Experiment) openAverage() {
	if d := x.Config.Optimizer.EMA; d > 0 {
		x.average = optim.NewAverage(d, x.Trained)
	}
}

// averaged calls f while the model has the average of its weights.
func (t *Trainer) averaged(f func() error) error {
	a := t.X.average
	if a == nil {
		return f()
	}
	a.Swap()
	t.reload()
	defer func() {
		a.Swap()
		t.reload()
	}()
	return f()
}

// adapterTensors is what a checkpoint keeps of adapters: averages, where there are.
func (x *Experiment) adapterTensors() map[string][]float32 {
	if x.average != nil {
		return x.adapters.State(x.average.Of)
	}
	return x.adapters.State(nil)
}

// averagedModel puts the averages in the places of a model's weights.
func (x *Experiment) averagedModel(m *hf.Model) *hf.Model {
	if x.average == nil {
		return m
	}
	for i := range m.Tensors {
		if v := x.average.Of(m.Tensors[i].Name); v != nil {
			m.Tensors[i].Data = v
		} else if v := x.adapters.Merged(m.Tensors[i].Name, x.average.Of); v != nil {
			m.Tensors[i].Data = v
		}
	}
	for i := range m.Extra {
		if v := x.average.Of(m.Extra[i].Name); v != nil {
			m.Extra[i].Data = v
		}
	}
	return m
}
