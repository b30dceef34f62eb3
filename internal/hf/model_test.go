package hf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/uierr"
)

// canon is a JSON file with its keys in order.
func canon(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestModelRoundTrip(t *testing.T) {
	for _, classes := range []int{0, 3} {
		for _, d := range []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16} {
			dir := t.TempDir()
			m := build(tinyConfig(), classes, 1)
			m.Extra = []safetensors.Tensor{{Name: "prompt.tokens", Shape: []int{1, 2, 4}, Data: testkit.Fill(8, 9)}}
			save(t, dir, m, d)
			got, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if d == safetensors.F32 && (!sameTensors(got.Tensors, m.Tensors) || !sameTensors(got.Extra, m.Extra)) {
				t.Error("tensors came back different")
			}
			if got.Classes() != classes || len(got.Config.Labels) != classes || len(got.Tensors) != len(m.Tensors) {
				t.Errorf("%d classes, %v, %d tensors", got.Classes(), got.Config.Labels, len(got.Tensors))
			}
			c := canon(t, filepath.Join(dir, ConfigName))
			arch := map[int]string{0: `"ViTModel"`, 3: `"ViTForImageClassification"`}[classes]
			if !strings.Contains(c, arch) || !strings.Contains(c, fmt.Sprintf(`"torch_dtype": %q`, torchName(d))) {
				t.Errorf("config.json: %s", c)
			}
		}
	}
}

// relabel saves m's tensors under other names, with its config.
func relabel(t *testing.T, m *Model, name func(string) string) string {
	t.Helper()
	dir := t.TempDir()
	save(t, dir, m, safetensors.F32)
	var tensors []safetensors.Tensor
	for _, x := range m.Tensors {
		if x.Name = name(x.Name); x.Name != "" {
			tensors = append(tensors, x)
		}
	}
	tensors = append(tensors, m.Extra...)
	if err := safetensors.WriteFile(quick(), filepath.Join(dir, safetensors.ModelName), tensors, safetensors.F32,
		nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLayouts(t *testing.T) {
	bare := func(n string) string { return strings.TrimPrefix(n, "vit.") }
	m := build(tinyConfig(), 0, 1)
	m.Extra = []safetensors.Tensor{{Name: "pooler.dense.weight", Shape: []int{4, 4}, Data: testkit.Fill(16, 3)},
		{Name: "pooler.dense.bias", Shape: []int{4}, Data: testkit.Fill(4, 3)}}
	got, err := Load(relabel(t, m, bare))
	if err != nil {
		t.Fatal(err)
	}
	if !sameTensors(got.Tensors, m.Tensors) ||
		!slices.Equal(got.Ignored, []string{"pooler.dense.bias", "pooler.dense.weight"}) {
		t.Errorf("bare ViTModel: ignored %v", got.Ignored)
	}

	m = build(tinyConfig(), 2, 1)
	m.Extra = []safetensors.Tensor{{Name: "vit.pooler.dense.bias", Shape: []int{4}, Data: testkit.Fill(4, 3)}}
	if got, err = Load(relabel(t, m, func(n string) string { return n })); err != nil ||
		!sameTensors(got.Tensors, m.Tensors) || len(got.Extra) != 0 {
		t.Error("with a pooler:", err)
	}

}

// TestNoQKVBias: a model without query, key and value biases stays one through
// reading and writing, and biases that its file has all the same are not read.
func TestNoQKVBias(t *testing.T) {
	for _, has := range []bool{false, true} {
		c := tinyConfig()
		c.QKVBias = false
		m := build(c, 2, 1)
		if has {
			m.Extra = []safetensors.Tensor{{Name: "vit.encoder.layer.1.attention.attention.key.bias", Shape: []int{4},
				Data: testkit.Fill(4, 3)}}
		}
		got, err := Load(relabel(t, m, func(n string) string { return n }))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := got.Tensor("vit.encoder.layer.1.attention.attention.key.bias"); ok || got.Config.QKVBias ||
			len(got.Ignored) != len(m.Extra) {
			t.Errorf("biases in the file %v: ignored %v, qkv_bias %v, a key bias %v", has, got.Ignored, got.Config.QKVBias, ok)
		}
		if want := len(build(tinyConfig(), 2, 1).Tensors) - 3*c.NumLayers; len(got.Tensors) != want ||
			!sameTensors(got.Tensors, m.Tensors) {
			t.Errorf("%d tensors, want %d", len(got.Tensors), want)
		}
		again := t.TempDir()
		save(t, again, got, safetensors.F32)
		if back, err := Load(again); err != nil || back.Config.QKVBias || !sameTensors(back.Tensors, got.Tensors) {
			t.Error("written and read again:", err)
		}
	}
}

func TestMismatch(t *testing.T) {
	keep := func(n string) string { return n }
	alter := func(change func(m *Model)) string {
		m := build(tinyConfig(), 3, 1)
		dir := relabel(t, m, keep)
		change(m)
		if err := safetensors.WriteFile(quick(), filepath.Join(dir, safetensors.ModelName), slices.Concat(m.Tensors, m.Extra),
			safetensors.F32, nil); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	at := func(m *Model, name string) *safetensors.Tensor {
		for i := range m.Tensors {
			if m.Tensors[i].Name == name {
				return &m.Tensors[i]
			}
		}
		t.Fatalf("no %s", name)
		return nil
	}
	_, err := Load(alter(func(m *Model) {
		*at(m, "vit.embeddings.position_embeddings") = safetensors.Tensor{Name: "vit.embeddings.position_embeddings",
			Shape: []int{1, 10, 4},
			Data:  testkit.Fill(40, 0)}
	}))
	testkit.Mistake(t, err, "vit.embeddings.position_embeddings", "[1 5 4]", "[1 10 4]")
	_, err = Load(alter(func(m *Model) {
		*at(m, "classifier.weight") = safetensors.Tensor{Name: "classifier.weight", Shape: []int{7, 4},
			Data: testkit.Fill(28, 0)}
	}))
	testkit.Mistake(t, err, "classifier.weight", "[3 4]", "[7 4]")
	_, err = Load(alter(func(m *Model) { at(m, "vit.layernorm.bias").Name = "other" }))
	testkit.Mistake(t, err, "vit.layernorm.bias", "missing")
	_, err = Load(alter(func(m *Model) {
		m.Extra = []safetensors.Tensor{{Name: "vit.encoder.layer.2.layernorm_before.bias", Shape: []int{4},
			Data: testkit.Fill(4, 0)}}
	}))
	testkit.Mistake(t, err, "vit.encoder.layer.2.layernorm_before.bias", "2 layers")
	_, err = Load(alter(func(m *Model) { m.Tensors = m.Tensors[:len(m.Tensors)-1] }))
	testkit.Mistake(t, err, "classifier.bias", "missing")

	m := build(tinyConfig(), 3, 1)
	m.Tensors = m.Tensors[1:]
	if err := Save(quick(), t.TempDir(), m, safetensors.F32); err == nil || !strings.Contains(err.Error(), "cls_token") {
		t.Errorf("a model without cls_token was saved: %v", err)
	}
}

func TestNoWeights(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "absent"))
	testkit.Mistake(t, err, "absent")
	_, err = Load(dir)
	testkit.Mistake(t, err, dir, safetensors.ModelName)
	testkit.Write(t, filepath.Join(dir, "pytorch_model.bin"), []byte("x"))
	_, err = Load(dir)
	testkit.Mistake(t, err, "pytorch_model.bin", "pickle")
	if e, _ := uierr.As(err); !strings.Contains(e.Hint, "from_pretrained('"+dir+"')") || strings.Contains(e.Hint, "\n") {
		t.Errorf("no one-line conversion in %q", e.Hint)
	}
	save(t, dir, build(tinyConfig(), 1, 1), safetensors.F32)
	if err := os.Remove(filepath.Join(dir, ConfigName)); err != nil {
		t.Fatal(err)
	}
	_, err = Load(dir)
	testkit.Mistake(t, err, ConfigName)
}

// shard splits a model's weights in two and writes the index.
func shard(t *testing.T, m *Model, change func(names map[string]string)) string {
	t.Helper()
	dir := t.TempDir()
	save(t, dir, m, safetensors.F32)
	if err := os.Remove(filepath.Join(dir, safetensors.ModelName)); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	half := len(m.Tensors) / 2
	for i, part := range [][]safetensors.Tensor{m.Tensors[:half], m.Tensors[half:]} {
		file := fmt.Sprintf("model-%05d-of-00002.safetensors", i+1)
		if err := safetensors.WriteFile(quick(), filepath.Join(dir, file), part, safetensors.F32, nil); err != nil {
			t.Fatal(err)
		}
		for _, x := range part {
			names[x.Name] = file
		}
	}
	if change != nil {
		change(names)
	}
	b, err := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": names})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Write(t, filepath.Join(dir, safetensors.IndexName), b)
	return dir
}

func TestShards(t *testing.T) {
	m := build(tinyConfig(), 3, 1)
	dir := shard(t, m, nil)
	got, err := Load(dir)
	if err != nil || !sameTensors(got.Tensors, m.Tensors) {
		t.Fatal("shards came back different", err)
	}
	if s, err := Inspect(dir); err != nil || len(s.Files) != 2 {
		t.Errorf("%+v %v", s, err)
	}
	if err := Save(quick(), dir, m, safetensors.F32); err == nil {
		t.Error("a single file was written beside shards")
	}
	for says, change := range map[string]func(map[string]string){
		"is not in":  func(n map[string]string) { n["ghost"] = "model-00001-of-00002.safetensors" },
		"not listed": func(n map[string]string) { delete(n, "classifier.bias") },
		"beside":     func(n map[string]string) { n["classifier.weight"] = "../model-00002-of-00002.safetensors" },
		"no such":    func(n map[string]string) { n["classifier.weight"] = "model-00003-of-00002.safetensors" },
		"empty":      func(n map[string]string) { clear(n) },
	} {
		_, err := Load(shard(t, m, change))
		testkit.Mistake(t, err, says)
	}
}

func TestResize(t *testing.T) {
	m := build(tinyConfig(), 3, 1)
	if err := m.Resize(8); err != nil {
		t.Fatal(err)
	}
	p, _ := m.Tensor("vit.embeddings.position_embeddings")
	if !reflect.DeepEqual(p.Shape, []int{1, 17, 4}) || m.Config.ImageSize != 8 || m.Preprocessor.Side() != 8 {
		t.Errorf("%v %+v", p.Shape, m.Preprocessor)
	}
	save(t, t.TempDir(), m, safetensors.F32)
	testkit.Mistake(t, m.Resize(7), "7")
}

func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root writes everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	testkit.Mistake(t, Save(fsys.OS, filepath.Join(dir, "m"), build(tinyConfig(), 3, 1), safetensors.F32), "permission")
}

// TestUnnamedClasses: transformers leaves id2label out for two classes.
func TestUnnamedClasses(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, build(tinyConfig(), 2, 1), safetensors.F32)
	testkit.Write(t, filepath.Join(dir, ConfigName),
		[]byte(`{"hidden_size":4,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":8,"image_size":4,"patch_size":2}`))
	m, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"LABEL_0", "LABEL_1"}; !slices.Equal(m.Config.Labels, want) {
		t.Errorf("labels %v", m.Config.Labels)
	}
	if s, err := Inspect(dir); err != nil || !slices.Equal(s.Labels, m.Config.Labels) {
		t.Errorf("%+v %v", s, err)
	}
}
