package texts

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/uierr"
)

// Name stands in a prompt where a class's name goes.
const Name = "{}"

// Default is the prompt where none is given.
const Default = "a photo of a {}."

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
