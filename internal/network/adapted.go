package network

import (
	"fmt"
	"path/filepath"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/lora"
	"github.com/flops-vit/flops/internal/uierr"
)

// LoadAdapted is LoadLocal with an adapter in PEFT's layout: merged into the weights, or
// apart, to go on with.
func LoadAdapted(dir, adapter string, apart bool, labels []string, prompts Tokens, seed uint64) (*Local, *Apart,
	error) {
	m, err := whole(dir)
	if err != nil {
		return nil, nil, err
	}
	a, err := hf.ReadAdapter(adapter)
	if err != nil {
		return nil, nil, err
	}
	var begun *Apart
	if apart {
		begun = &Apart{Adapter: a}
		begun.Factors, err = a.Apart(m)
	} else {
		err = a.Merge(m)
	}
	if err != nil {
		return nil, nil, err
	}
	l, err := fromModel(m, labels, prompts, seed)
	return l, begun, err
}

// Apart is an adapter beside the weights of a network, by their names.
type Apart struct {
	*hf.Adapter
	Factors map[string]hf.Factor
}

// AdapterOf is what a checkpoint of a run with sites.train: lora or core keeps apart, and the
// model that it was merged into.
func AdapterOf(dir string) (*hf.Model, *hf.Adapter, error) {
	if !fsys.Exists(filepath.Join(dir, "optimizer.safetensors")) {
		return nil, nil, noAdapter(dir)
	}
	c, err := checkpoint.LoadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	state := map[string][]float32{}
	for _, t := range c.Optimizer {
		state[t.Name] = t.Data
	}
	kept, alpha := lora.Read(state)
	if len(kept) == 0 {
		return nil, nil, noAdapter(dir)
	}
	if c.Model.Classes() == 0 {
		return nil, nil, uierr.New(dir+": a projection was trained beside the adapter, which PEFT's layout has no place for",
			"leave out --adapter: the model is written whole, its adapters merged")
	}
	a := &hf.Adapter{Dir: dir}
	for _, k := range kept {
		w, ok := c.Model.Tensor(k.Weight)
		if !ok || len(w.Data) != len(k.Base) || len(k.A) == 0 || len(k.B)%w.Shape[0] != 0 {
			return nil, nil, fmt.Errorf("network: the adapter of %s does not fit", k.Weight)
		}
		a.Rank = len(k.B) / w.Shape[0]
		a.Factors = append(a.Factors, hf.Factor{Weight: k.Weight, A: k.A, B: k.B, In: len(w.Data) / w.Shape[0]})
	}
	a.Scale = alpha / float64(a.Rank)
	for _, name := range c.Model.Config.Heads() {
		if t, ok := c.Model.Tensor(name); ok {
			a.Whole = append(a.Whole, t)
		}
	}
	a.Base, err = baseOf(dir)
	return c.Model, a, err
}

// baseOf is the folder of the model that the run around a checkpoint began with; empty
// where nobody says.
func baseOf(dir string) (string, error) {
	around := ConfigAround(dir)
	if !fsys.Exists(around) {
		return "", nil
	}
	r, err := config.Load(around, nil)
	if err != nil || r.Config.Model.Path == "" {
		return "", err
	}
	return filepath.Abs(r.Config.Model.Path)
}

func noAdapter(dir string) error {
	return uierr.New(dir+": holds no adapter", "name a checkpoint of a run with sites.train: lora or core")
}
