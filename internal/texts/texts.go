// Package texts is the text side of models that compare images with words: a text
// tower with its tokenizer, what it makes of texts, and of the names of classes in
// prompts (Radford et al. 2021, arXiv 2103.00020, section 3.1).
package texts

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/tokenizer"
	"github.com/flops-vit/flops/internal/vit"
)

// Tower is a text tower on the processor.
type Tower struct {
	*hf.Text
	Weights *vit.Weights
	model   *vit.Model
	slopes  slopes // the objective of a Backward
	warn    func(string)
}

// Open reads the text tower of a model folder; a model without one is a mistake
// whose cause is hf.ErrNoText. threads are its workers (0: every core); warn gets a
// line about texts that are cut.
func Open(dir string, threads int, warn func(string)) (*Tower, error) {
	x, err := hf.LoadText(dir)
	if err != nil {
		return nil, err
	}
	return New(x, threads, warn)
}

// New puts a text tower on the processor.
func New(x *hf.Text, threads int, warn func(string)) (*Tower, error) {
	w, err := vit.NewWeights(x.Arch)
	if err != nil {
		return nil, err
	}
	t := &Tower{Text: x, Weights: w, warn: warn}
	for _, p := range w.Params() {
		for _, from := range x.Tensors {
			if from.Name == p.Name {
				p.Data = from.Data
			}
		}
	}
	t.model = vit.NewModel(vit.NewNet(w), vit.Options{Threads: threads, Loss: &t.slopes})
	return t, nil
}

// Width is the number of values of an embedding.
func (t *Tower) Width() int { return t.Arch.Outputs() }

// Close gives the tower's memory back.
func (t *Tower) Close() error { return t.model.Close() }

// IDs are what the tower takes of texts, Arch.Context numbers each. It says once
// that texts are too long for the tower and were cut.
func (t *Tower) IDs(texts []string) []float32 {
	out := make([]float32, 0, len(texts)*t.Arch.Context)
	cut, first := 0, ""
	for _, text := range texts {
		ids, short := tokenizer.Encode(t.Tokenizer, text, t.Arch.Context)
		for _, id := range ids {
			out = append(out, float32(id))
		}
		if short {
			if cut++; cut == 1 {
				first = text
			}
		}
	}
	if cut > 0 && t.warn != nil {
		t.warn(fmt.Sprintf("%d of %d texts are longer than the %d ids that the tower takes, and were cut; the first is %q",
			cut, len(texts), t.Arch.Context, clip(first)))
	}
	return out
}

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}

// Embed is what the tower makes of texts, Width values each, of any length.
func (t *Tower) Embed(ctx context.Context, texts []string) ([]float32, error) {
	var out []float32
	const most = 64 // at a time
	ids := t.IDs(texts)
	for lo := 0; lo < len(texts); lo += most {
		n := min(most, len(texts)-lo)
		b := &forward.Batch{Size: n, Inputs: ids[lo*t.Arch.Context : (lo+n)*t.Arch.Context]}
		c, err := t.model.Evaluate(ctx, b)
		if err != nil {
			return nil, err
		}
		out = append(out, c.Logits...)
	}
	return out, nil
}

// words are the embeddings of a text's ids, before positions.
func (t *Tower) words(text string) ([]float32, error) {
	ids := t.Tokenizer.Pieces(text)
	table := t.Weights.Params()[t.Weights.Index(t.Arch.Names.Tokens)].Data
	D := t.Arch.Hidden
	var out []float32
	for _, id := range ids {
		if int(id) >= t.Arch.Vocabulary {
			return nil, fmt.Errorf("texts: id %d of %d", id, t.Arch.Vocabulary)
		}
		out = append(out, table[int(id)*D:(int(id)+1)*D]...)
	}
	return out, nil
}
