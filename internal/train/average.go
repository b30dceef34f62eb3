package train

import (
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/safetensors"
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

// whole is a model with what its weights are together with their adapters, and with the
// averages in the places of weights. What the network has packed of weights that are put
// together here is given back first, which takes as much memory.
func (x *Experiment) whole(m *hf.Model) *hf.Model {
	if u, ok := forward.As[interface{ Unpack() }](x.Model); ok {
		u.Unpack()
	}
	var of func(name string) []float32
	if x.average != nil {
		of = x.average.Of
	}
	put := func(t *safetensors.Tensor) {
		if of != nil && of(t.Name) != nil {
			t.Data = of(t.Name)
		} else if v := x.adapters.Merged(t.Name, of); v != nil {
			t.Data = v
		}
	}
	for i := range m.Tensors {
		put(&m.Tensors[i])
	}
	for i := range m.Extra {
		put(&m.Extra[i])
	}
	return m
}
