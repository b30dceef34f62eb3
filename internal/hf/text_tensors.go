package hf

import (
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// readTensors reads the tower, and the scale and bias of the logits, after comparing
// shapes.
func (t *Text) readTensors(dir string, f *textFamily, w *safetensors.Folder) error {
	byName := map[string]safetensors.Info{}
	for _, i := range w.Infos() {
		byName[f.names.written(i.Name)] = i
	}
	at := func(name string) (safetensors.Info, place, bool) {
		p := f.names.place(name)
		i, ok := byName[p.file]
		return p.piece(i), p, ok
	}
	if _, _, ok := at(t.Arch.Names.Projection + ".weight"); !ok {
		t.Arch.Projected = 0
	}
	var names []string
	for _, p := range t.Arch.Params() {
		i, _, ok := at(p.Name)
		if !ok {
			return uierr.Wrap(ErrNoText, fmt.Sprintf("%s: text tower: no tensor %s", dir, p.Name),
				"config.json and weights belong to different models, or the folder has the images' tower alone")
		}
		if !slices.Equal(i.Shape, p.Shape) {
			return uierr.New(fmt.Sprintf("%s: tensor %s: config.json asks for shape %v, the file has %v", dir, i.Name,
				p.Shape, i.Shape), "config.json and weights belong to different models")
		}
		names = append(names, p.Name)
	}
	var err error
	t.Tensors, err = safetensors.ReadMany(names, func(name string) (safetensors.Tensor, error) {
		from, p, _ := at(name)
		return readAs(name, dir, w, from, p.transposed)
	})
	if err != nil {
		return err
	}
	for name, dst := range map[string]*float64{"logit_scale": &t.Scale, "logit_bias": &t.Bias} {
		i, ok := byName[name]
		if !ok {
			continue
		}
		x, err := w.Holder(i.Name).ReadInfo(i)
		if err == nil && len(x.Data) != 1 {
			err = uierr.New(fmt.Sprintf("%s: tensor %s has %d values, not one", dir, name, len(x.Data)), getAgain)
		}
		if err == nil {
			err = finite(dir, name, x.Data)
		}
		if err != nil {
			return err
		}
		if *dst = float64(x.Data[0]); name == "logit_scale" {
			*dst = math.Exp(*dst)
		}
	}
	return nil
}
