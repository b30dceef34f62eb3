package hf

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/tokenizer"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// textReference is what PyTorch says of a whole model.
type textReference struct {
	Prompts []string
	IDs     [][]int32 `json:"input_ids"`
	Labels  []int
	Outputs struct {
		Text   [][]float64 `json:"text_features"`
		Image  [][]float64 `json:"image_features"`
		Logits [][]float64 `json:"logits_per_image"`
	}
	Norms  map[string]float64                `json:"grad_norms"`
	Shared map[string]struct{ Norm float64 } `json:"grad_of_mean_cross_entropy"`
}

// textFolders are the models of scripts/make-text-zoo.py, and those of the shared
// folder where it is there.
func textFolders(t *testing.T) map[string]*textReference {
	t.Helper()
	out := map[string]*textReference{}
	for _, dir := range testkit.TextModels(t) {
		raw, err := os.ReadFile(filepath.Join(dir, "reference.json"))
		if err != nil {
			t.Fatal(err)
		}
		r := &textReference{}
		if err := json.Unmarshal(raw, r); err != nil {
			t.Fatal(err)
		}
		out[dir] = r
	}
	return out
}

// weighed is Σ_j w_cj·t_cj of the text c of a batch: a loss whose gradient at the
// embeddings is known.
type weighed [][]float64

func (weighed) Name() string { return "weighed" }

func (w weighed) Losses(out, logits []float32, rows, width int, labels []int32) error {
	for r := range rows {
		var s float64
		for j := range width {
			s += w[labels[r]][j] * float64(logits[r*width+j])
		}
		out[r] = float32(s)
	}
	return nil
}

func (w weighed) Grad(d, _ []float32, rows, width int, labels []int32, scale float32) error {
	for r := range rows {
		for j := range width {
			d[r*width+j] = scale * float32(w[labels[r]][j])
		}
	}
	return nil
}

// slopes is the gradient of the mean cross-entropy over images, whose features are
// given, by the embeddings of the texts, times their number: what is averaged again.
func slopes(r *textReference, t *Text) weighed {
	n, width := len(r.Prompts), len(r.Outputs.Text[0])
	unit := func(v []float64) ([]float64, float64) {
		var sq float64
		for _, x := range v {
			sq += x * x
		}
		out := make([]float64, len(v))
		for i, x := range v {
			out[i] = x / math.Sqrt(sq)
		}
		return out, math.Sqrt(sq)
	}
	w := make(weighed, n)
	for c := range w {
		w[c] = make([]float64, width)
	}
	for i, img := range r.Outputs.Image {
		u, _ := unit(img)
		var sum float64
		for _, z := range r.Outputs.Logits[i] {
			sum += math.Exp(z)
		}
		for c, z := range r.Outputs.Logits[i] {
			p := math.Exp(z) / sum
			if c == r.Labels[i] {
				p--
			}
			v, length := unit(r.Outputs.Text[c])
			var cos float64
			for j := range u {
				cos += u[j] * v[j]
			}
			for j := range u {
				w[c][j] += t.Scale * p * (u[j] - cos*v[j]) / length * float64(n) / float64(len(r.Outputs.Image))
			}
		}
	}
	return w
}

// Ids, embeddings and the gradients of every parameter of the tower are those of
// PyTorch.
func TestTextTowers(t *testing.T) {
	for dir, r := range textFolders(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			x, err := LoadText(dir)
			if err != nil {
				t.Fatal(err)
			}
			w, err := vit.NewWeights(x.Arch)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range w.Params() {
				copy(p.Data, x.Tensors[i].Data)
				p.Grad = make([]float32, len(p.Data))
			}
			b := &forward.Batch{Size: len(r.Prompts)}
			for i, prompt := range r.Prompts {
				ids, _ := tokenizer.Encode(x.Tokenizer, prompt, x.Arch.Context)
				if !slices.Equal(ids, r.IDs[i]) && !strings.Contains(dir, "open-clip") {
					t.Errorf("%q: %v, want %v", prompt, ids, r.IDs[i])
				}
				for _, id := range ids {
					b.Inputs = append(b.Inputs, float32(id))
				}
				b.Labels, b.Index = append(b.Labels, int32(i)), append(b.Index, int32(i))
			}
			if x.Arch.Outputs() < len(r.Prompts) {
				t.Fatalf("%d outputs", x.Arch.Outputs())
			}
			m := vit.NewModel(vit.NewNet(w), vit.Options{Threads: 1, Loss: slopes(r, x)})
			c, err := m.Backward(context.Background(), b)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range r.Outputs.Text {
				for j, v := range want {
					if got := float64(c.Logits[i*c.Classes+j]); math.Abs(got-v) > 1e-4*max(1, math.Abs(v)) {
						t.Errorf("text %d value %d: %v, want %v", i, j, got, v)
					}
				}
			}
			norms := map[string]float64{}
			for k, v := range r.Shared {
				norms[k] = v.Norm
			}
			if r.Norms != nil {
				norms = r.Norms
			}
			compared := 0
			for _, p := range w.Params() {
				want, ok := norms[p.Name]
				if !ok {
					continue
				}
				compared++
				var sq float64
				for _, g := range p.Grad {
					sq += float64(g) * float64(g)
				}
				if got := math.Sqrt(sq); math.Abs(got-want) > 1e-3*want+2e-6 {
					t.Errorf("%s: gradient of norm %v, want %v", p.Name, got, want)
				}
			}
			if compared < len(w.Params()) && !strings.Contains(dir, "open-clip") {
				t.Errorf("%d of %d gradients compared", compared, len(w.Params()))
			}
		})
	}
}

func TestTextRefuses(t *testing.T) {
	_, err := LoadText("../../testdata/zoo/vit-relu")
	if !errors.Is(err, ErrNoText) || !uierr.IsMistake(err) {
		t.Errorf("a ViT: %v", err)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"another vocabulary": {`"vocab_size": 744`, `"vocab_size": 743`, "token_embedding"},
		"no layers":          {`"num_hidden_layers": 2`, `"num_hidden_layers": 0`, "layers"},
		"heads":              {`"num_attention_heads": 2`, `"num_attention_heads": 3`, "heads"},
		"act":                {`"hidden_act": "quick_gelu"`, `"hidden_act": "mish"`, "mish"},
		"a layer too many":   {`"num_hidden_layers": 2`, `"num_hidden_layers": 3`, "no tensor"},
	} {
		dir := t.TempDir()
		files, _ := filepath.Glob("../../testdata/texts/clip/*")
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Base(f) == ConfigName {
				raw = []byte(strings.Replace(string(raw), c.from, c.to, 1)) // text_config stands first
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := LoadText(dir); err == nil || !strings.Contains(err.Error(), c.want) || !uierr.IsMistake(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
