package hf

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// ErrPrompt is the cause of the error that Load gives for a folder that
// holds a prompt (NewPrompt).
var ErrPrompt = errors.New("holds a prompt and no network")

// The metadata of model.safetensors that tells a prompt from a network.
const (
	holds       = "holds"
	promptAlone = "prompt"
)

// NewPrompt is what a run has learned in front of a model that it could only call,
// as a Model of extra tensors alone. The metadata says how they are meant.
func NewPrompt(tensors []safetensors.Tensor, meta map[string]string) *Model {
	m := &Model{Extra: tensors, Metadata: map[string]string{}}
	maps.Copy(m.Metadata, meta)
	m.Metadata[holds] = promptAlone
	return m
}

// notPrompt refuses the weights of a prompt where a network is needed.
func notPrompt(dir string, w *safetensors.Folder) error {
	if w.Metadata()[holds] != promptAlone {
		return nil
	}
	return uierr.Wrap(ErrPrompt, dir+": "+ErrPrompt.Error()+": its run's model was only called",
		"eval, predict and serve take it with --model, and call that model")
}

// LoadPrompt reads a folder with a prompt, as Save wrote it.
func LoadPrompt(dir string) (*Model, error) {
	m, err := LoadTensors(dir)
	if err != nil {
		return nil, err
	}
	if m.Metadata[holds] != promptAlone {
		return nil, uierr.New(dir+": holds no prompt", "name a checkpoint of a run whose model.kind is remote or command")
	}
	return m, nil
}

// LoadTensors reads the weights of a folder that has no config.json, all of them as
// extra ones.
func LoadTensors(dir string) (m *Model, err error) {
	m = &Model{}
	m.Extra, m.Metadata, err = safetensors.ReadFile(filepath.Join(dir, safetensors.ModelName))
	return m, err
}

// Want is the tensor of a name and shape.
func (m *Model) Want(name string, shape ...int) (safetensors.Tensor, error) {
	t, ok := m.Tensor(name)
	if !ok {
		return safetensors.Tensor{}, fmt.Errorf("no tensor %s", name)
	}
	if !slices.Equal(t.Shape, shape) {
		return safetensors.Tensor{}, fmt.Errorf("tensor %s is %v, not %v", name, t.Shape, shape)
	}
	return t, nil
}
