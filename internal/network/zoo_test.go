package network

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/vit"
)

// zooReference is what PyTorch says of a model of the zoo.
type zooReference struct {
	Input   struct{ Shape []int }
	Outputs map[string]json.RawMessage
	Labels  []int32
	Grads   map[string]zooGrad           `json:"grad_of_mean_cross_entropy"`
	Others  []map[string]json.RawMessage `json:"other_sizes"`
}

type zooGrad struct {
	Norm, Sum float64
	First     []float64
}

// zoos are the models that scripts/make-zoo.py made, and those of the shared
// folder, where it is.
func zoos(t *testing.T) []string {
	t.Helper()
	shared := os.Getenv("FLOPS_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	own, err := filepath.Glob("../../testdata/zoo/*/reference.json")
	if err != nil || len(own) == 0 {
		t.Fatalf("no models under testdata/zoo: %v", err)
	}
	more, _ := filepath.Glob(filepath.Join(shared, "models", "zoo", "*", "reference.json"))
	if len(more) == 0 {
		t.Logf("no models under %s: their references are not looked at", shared)
	}
	var out []string
	for _, r := range append(own, more...) {
		dir := filepath.Dir(r)
		if files, _ := filepath.Glob(filepath.Join(dir, "*.safetensors")); len(files) > 0 {
			out = append(out, dir)
		}
	}
	return out
}

// zooImages are the images of the references: 1.2 sin(1 + 0.9b + 0.5c + 0.21i +
// 0.13j + 0.017ij) at row i and column j of channel c of image b.
func zooImages(shape ...int) *forward.Batch {
	b := &forward.Batch{Size: shape[0], Labels: make([]int32, shape[0])}
	for n := range shape[0] {
		b.Index = append(b.Index, int32(n))
		for c := range shape[1] {
			for i := range shape[2] {
				for j := range shape[3] {
					x := 1 + 0.9*float64(n) + 0.5*float64(c) + 0.21*float64(i) + 0.13*float64(j) + 0.017*float64(i)*float64(j)
					b.Inputs = append(b.Inputs, float32(1.2*math.Sin(x)))
				}
			}
		}
	}
	return b
}

func readReference(t *testing.T, dir string) (ref zooReference) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "reference.json"))
	if err == nil {
		err = json.Unmarshal(raw, &ref)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// flat are the numbers of nested lists.
func flat(t *testing.T, raw json.RawMessage) (out []float64) {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case float64:
			out = append(out, v)
		}
	}
	walk(v)
	return out
}

// zooLayers are the outputs of the references by the layer that they are.
var zooLayers = map[string]string{"image_embeds": "projection", "image_features": "projection",
	"pooler_output": "pooled",
	"features":      "pooled", "last_hidden_state": "last"}

// Every model of the zoo answers as PyTorch does, to 1e-4 of the largest output,
// shows its layers, and backpropagates to 1e-3 of each tensor's norm.
func TestZoo(t *testing.T) {
	ctx := context.Background()
	c := config.Default()
	c.Train.Device, c.Train.Threads = "cpu", 2
	for _, dir := range zoos(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			ref := readReference(t, dir)
			for key, layer := range zooLayers {
				if raw, ok := ref.Outputs[key]; ok {
					zooLayer(t, dir, key, layer, ref, flat(t, raw))
				}
			}
			if ref.Outputs["logits"] == nil {
				return // gradients of another loss, where there are any
			}
			m, err := OpenLocal(dir, c, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			shape := ref.Input.Shape
			if shape == nil {
				shape = []int{2, m.Chans, m.Height, m.Width}
			}
			b := zooImages(shape...)
			b.Labels = ref.Labels
			for _, p := range m.Model.Params() {
				p.Grad = make([]float32, len(p.Data))
			}
			out, err := m.Model.(query.Differentiable).Backward(ctx, b)
			if err != nil {
				t.Fatal(err)
			}
			if err := nearAll(out.Logits, flat(t, ref.Outputs["logits"]), 1e-4); err != nil {
				t.Errorf("outputs: %v", err)
			}
			compareGradients(t, m.Local, ref.Grads)
		})
	}
}

// TestZooSizes: with images of another size a model answers as the library's that
// interpolates positions: a folder that was made for it, or, of the families whose
// library does so by itself, one whose preprocessor makes such images.
func TestZooSizes(t *testing.T) {
	compared := 0
	for _, dir := range zoos(t) {
		ref := readReference(t, dir)
		for _, other := range ref.Others {
			var shape []int
			if err := json.Unmarshal(other["shape"], &shape); err != nil {
				t.Fatal(err)
			}
			made := resizedFolder(t, dir, shape[2], shape[3])
			if made == "" {
				continue // the library is told to
			}
			ref.Input.Shape = shape
			for key, raw := range other {
				layer := zooLayers[key]
				if key == "logits" {
					layer = ""
				}
				if key != "shape" {
					zooLayer(t, made, key, layer, ref, flat(t, raw))
					compared++
				}
			}
		}
	}
	t.Logf("%d outputs at other sizes", compared)
}

// resizedFolder is a folder of the model for images of another size; empty where only a
// library that is told to makes one.
func resizedFolder(t *testing.T, dir string, rows, columns int) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(dir))
	m, err := hf.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if rows == columns {
		if err := m.Resize(rows); err != nil {
			t.Fatal(err)
		}
		if err := hf.Save(fsys.OS, out, m, safetensors.F32); err != nil {
			t.Fatal(err)
		}
		return out
	}
	raw, err := os.ReadFile(filepath.Join(dir, "preprocessor_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	size := map[string]int{"height": rows, "width": columns}
	keys["crop_size"] = size
	if _, edge := keys["size"].(map[string]any)["shortest_edge"]; !edge {
		keys["size"] = size
	}
	if raw, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(out, "preprocessor_config.json")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadLayer(out, vit.LayerPooled); err != nil {
		if !strings.Contains(err.Error(), "image_size in config.json is") {
			t.Error(err)
		}
		return ""
	}
	return out
}

// zooLayer compares what a layer shows.
func zooLayer(t *testing.T, dir, key, layer string, ref zooReference, want []float64) {
	t.Helper()
	l, err := LoadLayer(dir, layer)
	if layer == "" { // its logits
		l, err = LoadLocal(dir, nil, Tokens{}, 0)
	}
	if err != nil && layer == "projection" { // SigLIP has none: its features are what is pooled
		layer = "pooled"
		l, err = LoadLayer(dir, layer)
	}
	if err != nil {
		t.Errorf("%s: %v", key, err)
		return
	}
	m := vit.NewModel(vit.NewNet(l.Weights), vit.Options{Threads: 1, Loss: objective.CE{}})
	defer m.Close()
	shape := ref.Input.Shape
	if shape == nil {
		chans, high, wide := l.Weights.Arch.Input()
		shape = []int{2, chans, high, wide}
	}
	b := zooImages(shape...)
	b.Labels = nil
	out, err := m.Evaluate(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	if err := nearAll(out.Logits, want, 1e-4); err != nil {
		t.Errorf("%s: %s by layer %q: %v", dir, key, layer, err)
	}
}

// compareGradients holds the gradients of a network, joined as its files have the
// tensors, against those of the reference.
func compareGradients(t *testing.T, l *Local, want map[string]zooGrad) {
	t.Helper()
	var tensors []safetensors.Tensor
	for _, p := range l.Weights.Params() {
		tensors = append(tensors, safetensors.Tensor{Name: p.Name, Shape: p.Shape, Data: p.Grad})
	}
	grads := map[string][]float32{}
	for _, x := range append(tensors, l.Config.Spelled(tensors)...) {
		grads[l.Config.Written(x.Name)] = x.Data
	}
	largest := 0.0
	for _, g := range want {
		largest = max(largest, g.Norm)
	}
	for name, g := range want {
		grad, ok := grads[l.Config.Written(name)]
		if !ok {
			t.Errorf("no gradient of %s", name)
			continue
		}
		var sq, sum float64
		for _, v := range grad {
			sq, sum = sq+float64(v)*float64(v), sum+float64(v)
		}
		// A gradient that is 0 in exact arithmetic, as a key's bias has, is rounding in both.
		zero := 1e-6 * largest
		if math.Abs(math.Sqrt(sq)-g.Norm) > 1e-3*g.Norm+zero ||
			math.Abs(sum-g.Sum) > (1e-3*g.Norm+zero)*math.Sqrt(float64(len(grad))) {
			t.Errorf("gradient of %s: norm %.6g and sum %.6g, want %.6g and %.6g", name, math.Sqrt(sq), sum, g.Norm, g.Sum)
		}
		for i, v := range g.First {
			if math.Abs(float64(grad[i])-v) > 1e-3*g.Norm+zero {
				t.Errorf("gradient of %s: value %d is %.6g, want %.6g", name, i, grad[i], v)
			}
		}
	}
}

// nearAll compares rows of numbers, relative to the largest of them.
func nearAll(got []float32, flat []float64, tolerance float64) error {
	top := 0.0
	for _, v := range flat {
		top = max(top, math.Abs(v))
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
