package network

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/query"
)

// zooReference is what PyTorch says of a model of the zoo.
type zooReference struct {
	Outputs map[string]json.RawMessage
	Labels  []int32
	Grads   map[string]struct{ Norm, Sum float64 } `json:"grad_of_mean_cross_entropy"`
}

// zoos are the models that scripts/make-zoo.py made, and those of the shared
// folder of the same names and kinds, where it is.
func zoos(t *testing.T, names ...string) []string {
	t.Helper()
	var out []string
	shared := os.Getenv("FLOPS_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	own, err := filepath.Glob("../../testdata/zoo/*/reference.json")
	if err != nil || len(own) == 0 {
		t.Fatalf("no models under testdata/zoo: %v", err)
	}
	for _, r := range own {
		out = append(out, filepath.Dir(r))
	}
	for _, n := range names {
		dir := filepath.Join(shared, "models", "zoo", n)
		if _, err := os.Stat(dir); err != nil {
			t.Logf("no %s under %s: its reference is not looked at", n, shared)
			continue
		}
		out = append(out, dir)
	}
	return out
}

// zooImages are the images of the references: 1.2 sin(1 + 0.9b + 0.5c + 0.21i +
// 0.13j + 0.017ij) at row i and column j of channel c of image b.
func zooImages(chans, side int) *forward.Batch {
	b := &forward.Batch{Size: 2, Labels: []int32{0, 0}, Index: []int32{0, 1}}
	for n := range 2 {
		for c := range chans {
			for i := range side {
				for j := range side {
					x := 1 + 0.9*float64(n) + 0.5*float64(c) + 0.21*float64(i) + 0.13*float64(j) + 0.017*float64(i)*float64(j)
					b.Inputs = append(b.Inputs, float32(1.2*math.Sin(x)))
				}
			}
		}
	}
	return b
}

// Families and activation functions answer as PyTorch does, to 1e-4 of the
// largest output, and backpropagate to 1e-3 of each tensor's norm.
func TestZoo(t *testing.T) {
	ctx := context.Background()
	c := config.Default()
	c.Train.Device = "cpu"
	for _, dir := range zoos(t, "clip-vision-projection", "clip-vision", "clip-vision-names5", "clip", "clip-laion",
		"vit", "vit-gelu-fast", "vit-gelu-new", "vit-gelu-pytorch-tanh", "vit-quick-gelu", "vit-relu", "vit-silu") {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var ref zooReference
			raw, err := os.ReadFile(filepath.Join(dir, "reference.json"))
			if err == nil {
				err = json.Unmarshal(raw, &ref)
			}
			if err != nil {
				t.Fatal(err)
			}
			m, err := OpenLocal(dir, c, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			b := zooImages(m.Chans, m.Size)
			if ref.Labels != nil {
				b.Labels = ref.Labels
			}
			var want [][]float64
			for _, key := range []string{"logits", "image_embeds", "image_features", "pooler_output"} {
				if raw, ok := ref.Outputs[key]; ok {
					if err := json.Unmarshal(raw, &want); err != nil {
						t.Fatal(err)
					}
					break
				}
			}
			for _, p := range m.Model.Params() {
				p.Grad = make([]float32, len(p.Data))
			}
			out, err := m.Model.(query.Differentiable).Backward(ctx, b)
			if err != nil {
				t.Fatal(err)
			}
			if err := nearAll(out.Logits, want, 1e-4); err != nil {
				t.Errorf("outputs: %v", err)
			}
			if ref.Outputs["logits"] == nil {
				return // gradients of another loss, where there are any
			}
			matched, largest := 0, 0.0
			for _, g := range ref.Grads {
				largest = max(largest, g.Norm)
			}
			for _, p := range m.Model.Params() {
				g, ok := ref.Grads[p.Name]
				if !ok {
					g, ok = ref.Grads[modern(p.Name)]
				}
				if !ok {
					continue
				}
				matched++
				var sq, sum float64
				for _, v := range p.Grad {
					sq, sum = sq+float64(v)*float64(v), sum+float64(v)
				}
				// A gradient that is 0 in exact arithmetic, as a key's bias has, is rounding in both.
				zero := 1e-6 * largest
				if math.Abs(math.Sqrt(sq)-g.Norm) > 1e-3*g.Norm+zero ||
					math.Abs(sum-g.Sum) > (1e-3*g.Norm+zero)*math.Sqrt(float64(len(p.Grad))) {
					t.Errorf("gradient of %s: norm %.6g and sum %.6g, want %.6g and %.6g", p.Name, math.Sqrt(sq), sum, g.Norm, g.Sum)
				}
			}
			if matched < len(m.Model.Params()) {
				t.Errorf("%d gradients compared of %d parameters", matched, len(m.Model.Params()))
			}
		})
	}
}

// modern is the name that version 5 of transformers has for a tensor of a ViT.
func modern(name string) string {
	for _, r := range [][2]string{{`^vit\.encoder\.layer\.`, "vit.layers."}, {`attention\.attention\.query`, "attention.q_proj"},
		{`attention\.attention\.key`, "attention.k_proj"}, {`attention\.attention\.value`, "attention.v_proj"},
		{`attention\.output\.dense`, "attention.o_proj"}, {`intermediate\.dense`, "mlp.fc1"}, {`\.output\.dense`, ".mlp.fc2"}} {
		name = regexp.MustCompile(r[0]).ReplaceAllString(name, r[1])
	}
	return name
}

// nearAll compares rows of numbers, relative to the largest of them.
func nearAll(got []float32, want [][]float64, tolerance float64) error {
	top := 0.0
	var flat []float64
	for _, row := range want {
		for _, v := range row {
			top, flat = max(top, math.Abs(v)), append(flat, v)
		}
	}
	if len(flat) == 0 || len(flat) != len(got) {
		return fmt.Errorf("%d numbers, want %d", len(got), len(flat))
	}
	for i, v := range flat {
		if math.Abs(float64(got[i])-v) > tolerance*top {
			return fmt.Errorf("number %d is %v, want %v", i, got[i], v)
		}
	}
	return nil
}
