// Package texts is the text side of models that compare images with words: a text
// tower with its tokenizer, what it makes of texts, and of the names of classes in
// prompts (Radford et al. 2021, arXiv 2103.00020, section 3.1).
package texts

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/tokenizer"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// Name stands in a prompt where a class's name goes.
const Name = "{}"

// Default is the prompt where none is given.
const Default = "a photo of a {}."

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

// Classes is a unit vector for each class: the direction of the mean of the unit
// embeddings of its name in every prompt (prompts as an ensemble; section 3.1.4 of
// the paper). Without prompts it is Default.
func (t *Tower) Classes(ctx context.Context, names, prompts []string) ([]float32, error) {
	if len(prompts) == 0 {
		prompts = []string{Default}
	}
	if err := CheckPrompts("--prompt", prompts); err != nil {
		return nil, err
	}
	var all []string
	for _, n := range names {
		for _, p := range prompts {
			all = append(all, strings.ReplaceAll(p, Name, n))
		}
	}
	e, err := t.Embed(ctx, all)
	if err != nil {
		return nil, err
	}
	width := t.Width()
	out := make([]float32, len(names)*width)
	for k := range names {
		row := out[k*width : (k+1)*width]
		for p := range prompts {
			v := e[(k*len(prompts)+p)*width:][:width]
			length := objective.Norm(v)
			if !(length > 0) || math.IsInf(length, 0) {
				return nil, fmt.Errorf("texts: the embedding of %q has length %v", all[k*len(prompts)+p], length)
			}
			for j, x := range v {
				row[j] += float32(float64(x) / length)
			}
		}
		length := objective.Norm(row)
		if !(length > 0) {
			return nil, fmt.Errorf("texts: the prompts of %q cancel out", names[k])
		}
		for j := range row {
			row[j] = float32(float64(row[j]) / length)
		}
	}
	return out, nil
}

// CheckPrompts refuses prompts in which no name of a class would stand. key names
// them.
func CheckPrompts(key string, prompts []string) error {
	for _, p := range prompts {
		if !strings.Contains(p, Name) {
			return uierr.New(fmt.Sprintf("%s %q: there is no place for the name of a class", key, clip(p)),
				fmt.Sprintf("write %s where the name goes, as in %q", Name, Default))
		}
	}
	return nil
}

// Words are the names of classes as texts have them: folders have _ for a space.
func Words(classes []string) []string {
	out := make([]string, len(classes))
	for i, c := range classes {
		out[i] = strings.ReplaceAll(c, "_", " ")
	}
	return out
}

// Logits writes what the model says of n images' embeddings and classes, unit rows:
// Scale·cos + Bias.
func (t *Tower) Logits(dst, images, classes []float32, n int) {
	Logits(dst, images, classes, n, t.Width(), t.Scale, t.Bias)
}

// Logits writes scale·cos + bias of n embeddings and classes, unit rows of a width.
func Logits(dst, images, classes []float32, n, width int, scale, bias float64) {
	k := len(classes) / width
	for i := range n {
		e := images[i*width : (i+1)*width]
		f := scale / max(objective.Norm(e), 1e-30)
		for c := range k {
			var d float64
			for j, v := range classes[c*width : (c+1)*width] {
				d += float64(v) * float64(e[j])
			}
			dst[i*k+c] = float32(f*d + bias)
		}
	}
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
