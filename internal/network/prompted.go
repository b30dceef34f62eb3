package network

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/prompt"
	"github.com/flops-vit/flops/internal/remote"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// Tensors and metadata of a checkpoint whose model is only called. With the
// frame they are all that is needed to use what was learned (docs/protocol.md).
const (
	mapWeight   = "mapping.weight" // task×model
	mapBias     = "mapping.bias"   // task
	metaMode    = "prompt.mode"
	metaWidth   = "prompt.width"
	metaCount   = "prompt.count"
	metaClasses = "classes" // of the task, a JSON list
	metaMean    = "mean"    // of the normalization, a JSON list
	metaStd     = "std"
)

// SavedPrompt is what a checkpoint holds of a model that can only be called: the
// frame, the mapping to the classes of the task, and how images were normalised.
func SavedPrompt(k prompt.Kind, f prompt.Overlay, to prompt.Mapping, classes []string, t *data.Transform) *hf.Model {
	w, b := to.Matrix()
	p := f.Trained()
	list := func(v any) string { s, _ := json.Marshal(v); return string(s) } // of names and numbers it cannot fail
	return hf.NewPrompt([]safetensors.Tensor{
		{Name: p.Name, Shape: p.Shape, Data: p.Data},
		{Name: mapWeight, Shape: []int{to.Task(), to.Model()}, Data: w},
		{Name: mapBias, Shape: []int{to.Task()}, Data: b},
	}, map[string]string{metaMode: k.Mode, metaWidth: strconv.Itoa(k.Width), metaCount: strconv.Itoa(k.Count),
		metaClasses: list(classes), metaMean: list(t.Mean), metaStd: list(t.Std)})
}

// openPrompted reads a prompt and calls on its model; no image is sent.
func openPrompted(ctx context.Context, path string, c config.Config, warn func(string)) (*Trained, error) {
	saved, err := checkpoint.LoadPrompt(path)
	if err != nil {
		return nil, err
	}
	if c.Model.Kind == "local" {
		around := ConfigAround(path)
		if _, err := os.Stat(around); err != nil {
			return nil, uierr.Wrap(err,
				path+": is a prompt without its run folder, and the model that it was learned for is not known",
				"give 'eval' --config FILE and --checkpoint, or a checkpoint in its run folder")
		}
		r, err := config.Load(around, nil)
		if err != nil {
			return nil, err
		}
		c = r.Config
	}
	caller, policy, err := Dial(ctx, c, warn)
	if err != nil {
		return nil, err
	}
	t, err := behind(saved, caller, policy)
	if err != nil {
		caller.Close()
		return nil, uierr.Wrap(err, fmt.Sprintf("%s does not fit model %s: %v", path, caller.Spec().Name, err),
			"use the model that the prompt was learned for, and its experiment")
	}
	return t, nil
}

// behind puts a saved prompt in front of a model.
func behind(saved *hf.Model, caller remote.Caller, policy remote.Policy) (*Trained, error) {
	s, meta := caller.Spec(), saved.Metadata
	var labels []string
	var mean, std []float32
	for key, v := range map[string]any{metaClasses: &labels, metaMean: &mean, metaStd: &std} {
		if err := json.Unmarshal([]byte(meta[key]), v); err != nil {
			return nil, fmt.Errorf("metadata %s: %w", key, err)
		}
	}
	width, err := strconv.Atoi(meta[metaWidth])
	if err != nil {
		return nil, fmt.Errorf("metadata %s: %w", metaWidth, err)
	}
	k := prompt.Kind{Mode: meta[metaMode], Width: width}
	if text := meta[metaCount]; text != "" { // which older checkpoints have not
		if k.Count, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("metadata %s: %w", metaCount, err)
		}
	}
	f, err := prompt.NewOverlay(k, s.Channels, s.Height, s.Width)
	if err != nil {
		return nil, err
	}
	p := f.Trained()
	frame, err := saved.Want(p.Name, p.Shape...)
	if err != nil {
		return nil, err
	}
	copy(p.Data, frame.Data)
	w, err := saved.Want(mapWeight, len(labels), s.Classes)
	if err != nil {
		return nil, err
	}
	b, err := saved.Want(mapBias, len(labels))
	if err != nil {
		return nil, err
	}
	to, err := prompt.LinearOf(w.Data, b.Data)
	if err != nil {
		return nil, err
	}
	pool, err := remote.NewPool(caller, policy, remote.NewMeter(0, remote.Counts{}), nil)
	if err != nil {
		return nil, err
	}
	m, err := remote.NewModel(pool, f, to, objective.CE{}, nil) // without noise: nothing is perturbed
	if err != nil {
		return nil, err
	}
	return &Trained{Model: m, Labels: labels, Chans: s.Channels, Height: s.Height, Width: s.Width,
		transform: func(c config.Data) (*data.Transform, error) {
			if len(c.Mean) == 0 {
				c.Mean = mean
			}
			if len(c.Std) == 0 {
				c.Std = std
			}
			return CalledTransform(s, c)
		}}, nil
}
