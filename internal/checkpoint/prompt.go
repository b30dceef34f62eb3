package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"

	"github.com/flops-vit/flops/internal/uierr"
)

// ErrPrompt is the cause of the error that LoadModel gives for a folder
// that holds NewPrompt's.
var ErrPrompt = errors.New("holds a prompt and no network")

// The metadata of model.safetensors that tells a prompt from a network.
const (
	holds       = "holds"
	promptAlone = "prompt"
)

// NewPrompt is what a run has learned in front of a model that it could only call,
// as a Model of extra tensors alone. The metadata says how they are meant.
func NewPrompt(tensors []Tensor, meta map[string]string) *Model {
	meta = maps.Clone(meta)
	if meta == nil {
		meta = map[string]string{}
	}
	meta[holds] = promptAlone
	return &Model{Extra: tensors, Metadata: meta}
}

// notPrompt refuses the weights of a prompt where a network is needed.
func (w *weights) notPrompt(dir string) error {
	if w.files[0].Metadata()[holds] != promptAlone {
		return nil
	}
	return uierr.Wrap(ErrPrompt, dir+": "+ErrPrompt.Error()+": its run's model was only called", "eval, predict and serve take it with --model, and call that model")
}

// LoadPrompt reads a folder with a prompt: a checkpoint, which is verified, or
// what SaveModel wrote. "last" and "best" are those of a run (Pointed).
func LoadPrompt(dir string) (*Model, error) {
	dir, err := Pointed(dir)
	if err != nil {
		return nil, err
	}
	if exists(filepath.Join(dir, manifestName)) {
		if _, err := verify(dir); err != nil {
			return nil, refuse(dir, err)
		}
	}
	m, err := readPrompt(dir)
	if err != nil {
		return nil, err
	}
	if m.Metadata[holds] != promptAlone {
		return nil, uierr.New(dir+": holds no prompt", "name a checkpoint of a run whose model.kind is remote or command")
	}
	return m, nil
}

func readPrompt(dir string) (m *Model, err error) {
	m = &Model{}
	m.Extra, m.Metadata, err = ReadFile(filepath.Join(dir, weightsName))
	return m, err
}

// Want is the extra tensor of a name, of a shape of which -1 is any size.
func (m *Model) Want(name string, shape ...int) (Tensor, error) {
	t, ok := m.Tensor(name)
	if !ok {
		return Tensor{}, fmt.Errorf("no tensor %s", name)
	}
	fits := len(t.Shape) == len(shape)
	for i := 0; fits && i < len(shape); i++ {
		fits = shape[i] < 0 || t.Shape[i] == shape[i]
	}
	if !fits {
		return Tensor{}, fmt.Errorf("tensor %s is %v, not %v", name, t.Shape, shape)
	}
	return t, nil
}
