package hf

import (
	"fmt"
	"slices"

	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// Merge adds the adapter to the weights of a model: W + Scale·B·A.
func (a *Adapter) Merge(m *Model) error {
	seen := map[string]bool{}
	for _, f := range a.Factors {
		t, err := a.of(m, f)
		if err != nil {
			return err
		}
		if seen[t.Name] {
			return damaged(a.Dir, "two adapters of %s", t.Name)
		}
		seen[t.Name] = true
		out := len(t.Data) / f.In
		for o := range out {
			row := t.Data[o*f.In : (o+1)*f.In]
			sums := make([]float64, f.In)
			for k := range a.Rank {
				b := float64(f.B[o*a.Rank+k])
				for i, v := range f.A[k*f.In : (k+1)*f.In] {
					sums[i] += b * float64(v)
				}
			}
			for i, s := range sums {
				row[i] += float32(a.Scale * s)
			}
		}
	}
	return a.Replace(m)
}

// of is the weight that a factor is of.
func (a *Adapter) of(m *Model, f Factor) (safetensors.Tensor, error) {
	name := m.Config.Written(f.Weight)
	for _, t := range m.Tensors {
		if p := m.Config.kind().names.place(t.Name); p.file != name || p.of > 1 || p.transposed {
			continue
		}
		if len(t.Data) != f.In*(len(f.B)/a.Rank) || t.Shape[0] != len(f.B)/a.Rank {
			return t, uierr.New(fmt.Sprintf("%s: the adapter of %s is %d by %d, the model's weight %v", a.Dir, f.Weight,
				len(f.B)/a.Rank, f.In, t.Shape), "give the model that the adapter was made for")
		}
		return t, nil
	}
	return safetensors.Tensor{}, uierr.New(fmt.Sprintf("%s: the model has no weight %s that the adapter is of", a.Dir,
		f.Weight), "give the model that the adapter was made for")
}

// Apart leaves the weights of a model as they are, and gives the factors by the names of
// their weights in Model.Tensors.
func (a *Adapter) Apart(m *Model) (map[string]Factor, error) {
	out := map[string]Factor{}
	for _, f := range a.Factors {
		t, err := a.of(m, f)
		if err != nil {
			return nil, err
		}
		out[t.Name] = f
	}
	return out, a.Replace(m)
}

// Replace puts what the adapter has whole in the place of the model's tensors.
func (a *Adapter) Replace(m *Model) error {
	other := func(t safetensors.Tensor, want []int) error {
		return uierr.New(fmt.Sprintf("%s: tensor %s is %v, the model's %v", a.Dir, t.Name, t.Shape, want),
			"give the model that the adapter was made for")
	}
	heads, headed, classes := m.Config.Heads(), false, 0
	for _, t := range a.Whole {
		t.Name = m.Config.Written(t.Name)
		i := slices.IndexFunc(m.Tensors, func(x safetensors.Tensor) bool { return x.Name == t.Name })
		head := slices.Contains(heads, t.Name)
		headed = headed || head
		switch {
		case i < 0 && !head:
			return uierr.New(fmt.Sprintf("%s: the model has no tensor %s", a.Dir, t.Name),
				"give the model that the adapter was made for")
		case !head && !slices.Equal(m.Tensors[i].Shape, t.Shape):
			return other(t, m.Tensors[i].Shape)
		case i < 0:
			m.Tensors = append(m.Tensors, t)
		default:
			m.Tensors[i] = t
		}
		if head && len(t.Shape) > 0 && (classes == 0 || t.Name == heads[0]) {
			classes = t.Shape[0]
		}
	}
	if !headed {
		return nil
	}
	for _, s := range m.Config.Layout(max(1, classes)) { // a classifier is of as many classes in all its tensors
		if t, ok := m.Tensor(s.Name); ok && slices.Contains(heads, s.Name) && !slices.Equal(t.Shape, s.Shape) {
			return other(t, s.Shape)
		}
	}
	switch {
	case len(a.Labels) == classes:
		m.Config.Labels = a.Labels
	case len(m.Config.Labels) != classes:
		m.Config.Labels = NumberedLabels(classes)
	}
	return nil
}
