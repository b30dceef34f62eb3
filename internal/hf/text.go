package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/tokenizer"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// Text is the text tower of a model folder, with what its model compares texts and
// images by: logits = Scale·cos(image, text) + Bias.
type Text struct {
	Family    string
	Arch      vit.Text
	Tensors   []safetensors.Tensor // in the order of Arch.Params
	Tokenizer tokenizer.Tokenizer
	// Sigmoid says that each pair is judged by itself (SigLIP), and not one text
	// against the others by softmax (CLIP).
	Sigmoid bool
	Scale   float64 // 0: the folder has none
	Bias    float64
}

// textFamily is a kind of text tower as model folders describe it. Each stands in a
// file of its own and registers itself.
type textFamily struct {
	name      string
	is        func(keys map[string]json.RawMessage) bool
	read      func(keys map[string]json.RawMessage) (vit.Text, error)
	names     naming // of the tensors of a folder, turned into those of vit.HFText
	tokenizer func(dir string) (tokenizer.Tokenizer, error)
	sigmoid   bool
}

var textFamilies = map[string]*textFamily{}

func registerText(f *textFamily) { textFamilies[f.name] = f }

// ErrNoText is the cause of the error about a model without a text tower.
var ErrNoText = errors.New("the model has no text tower")

const getAgain = "get the files again from where the model came from"

// textFamilyOf is the family of a folder and what its config says.
func textFamilyOf(dir string) (*textFamily, map[string]json.RawMessage, error) {
	path := configPath(dir)
	raw, err := fsys.ReadSmall(path, jsonobj.MaxFile)
	if err != nil {
		return nil, nil, fsys.ReadError(err, path)
	}
	keys, err := jsonobj.Raw(raw)
	if err != nil {
		return nil, nil, uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err), getAgain)
	}
	for _, n := range slices.Sorted(maps.Keys(textFamilies)) {
		if f := textFamilies[n]; f.is(keys) {
			return f, keys, nil
		}
	}
	return nil, nil, uierr.Wrap(ErrNoText, fmt.Sprintf("%s: the model has no text tower", dir),
		"give a whole CLIP or SigLIP: a folder whose model_type is clip or siglip, with its tokenizer's files")
}

// HasText says whether a folder has a text tower.
func HasText(dir string) bool {
	_, _, err := textFamilyOf(dir)
	return err == nil
}

// LoadText reads the text tower of a model folder and its tokenizer, and leaves the
// images' unread. Where there is none the error's cause is ErrNoText.
func LoadText(dir string) (*Text, error) {
	f, keys, err := textFamilyOf(dir)
	if err != nil {
		return nil, err
	}
	t := &Text{Family: f.name, Sigmoid: f.sigmoid}
	if t.Arch, err = f.read(keys); err == nil {
		err = t.Arch.Check()
	}
	if err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("%s: text tower: %v", dir, err), getAgain)
	}
	w, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := t.readTensors(dir, f, w); err != nil {
		return nil, err
	}
	if t.Tokenizer, err = f.tokenizer(dir); err != nil {
		return nil, err
	}
	if n := t.Tokenizer.Size(); n > t.Arch.Vocabulary {
		return nil, uierr.New(fmt.Sprintf("%s: the tokenizer has %d pieces, the text tower %d", dir, n, t.Arch.Vocabulary),
			"tokenizer and weights belong to different models")
	}
	return t, nil
}

// readText reads the sizes of a tower that transformers' configs have alike over
// those that are t already.
func readText(m map[string]json.RawMessage, t *vit.Text) error {
	for key, dst := range map[string]*int{"hidden_size": &t.Hidden, "num_hidden_layers": &t.Layers,
		"num_attention_heads": &t.Heads, "intermediate_size": &t.MLP, "vocab_size": &t.Vocabulary,
		"max_position_embeddings": &t.Context} {
		if err := take(m, key, dst); err != nil {
			return err
		}
	}
	if err := take(m, "layer_norm_eps", &t.Eps); err != nil {
		return err
	}
	name := ""
	if err := take(m, "hidden_act", &name); err != nil || name == "" {
		return err
	}
	act, ok := vit.ActNamed(name)
	if !ok {
		return fmt.Errorf("hidden_act is %q, which is not known", jsonobj.Clip(name))
	}
	t.Act = act
	return nil
}

// textTower are the keys of a whole model's text tower: those below text_config, or
// below the old text_config_dict, which counts where both are.
func textTower(m map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	for _, key := range []string{"text_config_dict", "text_config"} {
		if raw := m[key]; len(raw) > 0 && string(raw) != "null" {
			return takeObject(m, key)
		}
	}
	return map[string]json.RawMessage{}, nil
}

// isKind says whether a config's model_type is one of these.
func isKind(m map[string]json.RawMessage, kinds ...string) bool {
	return slices.Contains(kinds, strings.Trim(string(m["model_type"]), `"`))
}
