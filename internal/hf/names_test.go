package hf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/vit"
)

// five turns a name of transformers 4 into that of version 5.
var five = strings.NewReplacer("encoder.layer.", "layers.",
	"attention.attention.query", "attention.q_proj", "attention.attention.key", "attention.k_proj",
	"attention.attention.value", "attention.v_proj", "attention.output.dense", "attention.o_proj",
	"intermediate.dense", "mlp.fc1", "output.dense", "mlp.fc2").Replace

// TestNamesOfTransformers5: with and without the prefix, tensor for tensor.
func TestNamesOfTransformers5(t *testing.T) {
	for _, classes := range []int{0, 3} {
		for _, bare := range []bool{false, true} {
			m := build(tinyConfig(), classes, 1)
			m.Extra = []safetensors.Tensor{{Name: "vit.pooler.dense.bias", Shape: []int{4}, Data: testkit.Fill(4, 3)}}
			dir := relabel(t, m, func(n string) string {
				if n = five(n); bare {
					n = strings.TrimPrefix(n, "vit.")
				}
				return n
			})
			got, err := Load(dir)
			if err != nil {
				t.Fatalf("%d classes, bare %v: %v", classes, bare, err)
			}
			if !sameTensors(got.Tensors, m.Tensors) || !slices.Equal(got.Ignored, []string{"vit.pooler.dense.bias"}) {
				t.Errorf("%d classes, bare %v: ignored %v", classes, bare, got.Ignored)
			}
			if got, err = LoadWhole(dir); err != nil || len(got.Kept) != 1 || got.Kept[0].Name != "vit.pooler.dense.bias" {
				t.Errorf("%d classes, bare %v: kept %v (%v)", classes, bare, got.Kept, err)
			}
		}
	}
	m := build(tinyConfig(), 3, 1)
	dir := relabel(t, m, func(n string) string { return n })
	m.Extra = []safetensors.Tensor{{Name: "vit.layers.1.attention.q_proj.bias", Shape: []int{4}, Data: testkit.Fill(4, 3)}}
	if err := safetensors.WriteFile(quick(), filepath.Join(dir, safetensors.ModelName), slices.Concat(m.Tensors, m.Extra),
		safetensors.F32, nil); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir)
	testkit.Mistake(t, err, "vit.layers.1.attention.q_proj.bias", "two names")
}

// timmFolder writes a model as timm does, with these keys in model_args.
func timmFolder(t *testing.T, m *Model, args string) string {
	t.Helper()
	to := strings.NewReplacer("vit.encoder.layer.", "blocks.", "attention.output.dense", "attn.proj", "intermediate.dense",
		"mlp.fc1", "output.dense", "mlp.fc2",
		"layernorm_before", "norm1", "layernorm_after", "norm2", "vit.layernorm", "norm", "classifier", "head", "vit.embeddings.cls_token", "cls_token",
		"vit.embeddings.position_embeddings", "pos_embed", "vit.embeddings.patch_embeddings.projection",
		"patch_embed.proj").Replace
	dir := t.TempDir()
	var tensors []safetensors.Tensor
	for _, x := range m.Tensors {
		before, kind, _ := strings.Cut(x.Name, "attention.attention.")
		switch kind, _, _ = strings.Cut(kind, "."); kind {
		case "query":
			q := safetensors.Tensor{Name: to(before) + "attn.qkv" + x.Name[strings.LastIndexByte(x.Name, '.'):],
				Shape: append([]int{3 * x.Shape[0]}, x.Shape[1:]...), Data: nil}
			for _, part := range []string{"query", "key", "value"} {
				p, _ := m.Tensor(strings.Replace(x.Name, "query", part, 1))
				q.Data = append(q.Data, p.Data...)
			}
			tensors = append(tensors, q)
		case "key", "value":
		default:
			tensors = append(tensors, safetensors.Tensor{Name: to(x.Name), Shape: x.Shape, Data: x.Data})
		}
	}
	if err := safetensors.WriteFile(quick(), filepath.Join(dir, safetensors.ModelName), tensors, safetensors.F32,
		nil); err != nil {
		t.Fatal(err)
	}
	testkit.Write(t, filepath.Join(dir, ConfigName), fmt.Appendf(nil, `{"architecture":"vit_tiny_patch16_224","num_classes":%d,"global_pool":"token","label_names":["a","b","c"],
		"model_args":{"img_size":[4,4],"patch_size":2,"depth":2,"embed_dim":4,"num_heads":2,"mlp_ratio":2%s},
		"pretrained_cfg":{"input_size":[3,4,4],"interpolation":"bilinear","crop_pct":0.5,"mean":[0.1,0.2,0.3],"std":[1,2,3]}}`, m.Classes(), args))
	return dir
}

// sameNumbers says that two lists of tensors are the same under other names.
func sameNumbers(a, b []safetensors.Tensor) bool {
	return slices.EqualFunc(a, b, func(x, y safetensors.Tensor) bool {
		return slices.Equal(x.Shape, y.Shape) && slices.Equal(x.Data, y.Data)
	})
}

func TestTimmFolder(t *testing.T) {
	m := build(tinyConfig(), 3, 1)
	dir := timmFolder(t, m, "")
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := got.Preprocessor
	if !sameNumbers(got.Tensors, m.Tensors) || !slices.Equal(got.Config.Labels, []string{"a", "b", "c"}) ||
		got.Config.LayerNormEps != 1e-6 {
		t.Errorf("%+v", got.Config)
	}
	if !p.Crop || p.Side() != 4 || p.Shortest != 8 || p.Resample != 2 || !slices.Equal(p.Std, []float32{1, 2, 3}) {
		t.Errorf("%+v", p)
	}
	out := t.TempDir()
	save(t, out, got, safetensors.F32)
	again, err := Load(out)
	if err != nil || !sameTensors(again.Tensors, got.Tensors) || again.Preprocessor.Shortest != 8 ||
		again.Config.LayerNormEps != 1e-6 {
		t.Errorf("exported: %+v %v", again, err)
	}
	foreign := build(tinyConfig(), 3, 1)
	foreign.Tensors = append(foreign.Tensors,
		safetensors.Tensor{Name: "norm_pre.weight", Shape: []int{4}, Data: testkit.Fill(4, 3)})
	_, err = Load(timmFolder(t, foreign, ""))
	testkit.Mistake(t, err, "norm_pre.bias", "missing")
	if s, err := Inspect(dir); err != nil || s.Classes != 3 || s.Parameters != 443 {
		t.Errorf("%+v %v", s, err)
	}
	for args, says := range map[string]string{`,"norm_layer":"rmsnorm"`: "norm_layer", `,"act_layer":"celu"`: "act_layer",
		`,"global_pool":"max"`: "global_pool", `,"mlp_ratio":-1`: "twice", `,"novel":1`: "novel"} {
		_, err := Load(timmFolder(t, m, args))
		testkit.Mistake(t, err, says)
	}
	if _, err := Load(timmFolder(t, m, `,"drop_path_rate":0.1,"class_token":true,"num_classes":3`)); err != nil {
		t.Error(err)
	}
	smooth, err := Load(timmFolder(t, m, `,"act_layer":"gelu_tanh"`)) // as timm alone calls it
	if err != nil || smooth.Config.Act != vit.TanhGELU {
		t.Error(smooth, err)
	}
	for in, says := range map[string]string{
		`{"architecture":"vit_relpos_small_patch16_224"}`:                                     "vit_relpos_small_patch16_224",
		`{"architecture":"resnet50"}`:                                                         "timm folder",
		`{"architecture":"vit_tiny_patch16_224","pretrained_cfg":{"input_size":[3,32]}}`:      "input_size",
		`{"architecture":"vit_tiny_patch16_224","pretrained_cfg":{"crop_mode":"corner"}}`:     "corner",
		`{"architecture":"vit_tiny_patch16_224","pretrained_cfg":{"crop_pct":0}}`:             "crop_pct",
		`{"architecture":"vit_tiny_patch16_224","pretrained_cfg":{"interpolation":"random"}}`: "random",
		`{"architecture":"vit_tiny_patch99999999999999999999_224"}`:                           "vit_tiny_patch99",
	} {
		path := filepath.Join(t.TempDir(), ConfigName)
		testkit.Write(t, path, []byte(in))
		_, err := ReadConfig(path)
		testkit.Mistake(t, err, path, says)
	}
}

// TestForeignFormats: tensors of formats that no weights come in are left
// unread where the network does not need them, and told of.
func TestForeignFormats(t *testing.T) {
	formats := map[string]string{"BOOL": `[8]`, "I64": `[1]`, "U8": `[2,4]`, "F8_E4M3": `[8]`, "F8_E8M0": `[8]`,
		"F4": `[16]`, "C64": `[1]`, "I32": `[2]`}
	for dtype, shape := range formats {
		m := build(tinyConfig(), 3, 1)
		dir := relabel(t, m, func(n string) string { return n })
		var file bytes.Buffer
		if err := safetensors.Write(&file, m.Tensors, safetensors.F32, nil); err != nil {
			t.Fatal(err)
		}
		head := file.Next(8 + int(binary.LittleEndian.Uint64(file.Bytes())))
		size := 0
		for _, x := range m.Tensors {
			size += 4 * len(x.Data)
		}
		text := strings.TrimRight(string(head[8:]), " ")
		text = strings.TrimSuffix(text, "}") +
			fmt.Sprintf(`,"scale.foreign":{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}}`, dtype, shape, size, size+8)
		testkit.Write(t, filepath.Join(dir, safetensors.ModelName), raw(text, size+8))
		got, err := Load(dir)
		if err != nil || !slices.Equal(got.Ignored, []string{"scale.foreign"}) {
			t.Fatalf("%s: %v", dtype, err)
		}
		if s, err := Inspect(dir); err != nil || !slices.Equal(s.Ignored, got.Ignored) || s.DTypes[dtype] == 0 {
			t.Errorf("%s: %+v %v", dtype, s, err)
		}
		// A copy has it, byte for byte.
		if got, err = LoadWhole(dir); err != nil {
			t.Fatal(err)
		}
		copied := t.TempDir()
		save(t, copied, got, safetensors.BF16)
		again, err := LoadWhole(copied)
		if err != nil || len(again.Kept) != 1 || !reflect.DeepEqual(again.Kept, got.Kept) ||
			again.Kept[0].DType != safetensors.DType(dtype) {
			t.Errorf("%s: kept %+v, not %+v (%v)", dtype, again, got.Kept, err)
		}
		// The same as a weight of the network is not read as numbers.
		testkit.Write(t, filepath.Join(dir, safetensors.ModelName),
			raw(strings.Replace(text, `"classifier.bias":{"dtype":"F32","shape":[3],`,
				`"classifier.bias":{"dtype":"U32","shape":[3],`, 1), size+8))
		_, err = Load(dir)
		testkit.Mistake(t, err, "classifier.bias", "U32")
	}
}

// TestNotANumber: weights that are no numbers are refused by name.
func TestNotANumber(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, d := range []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16} {
			m := build(tinyConfig(), 3, 1)
			m.Tensors[7].Data[2] = float32(bad)
			dir := t.TempDir()
			save(t, dir, m, d)
			_, err := Load(dir)
			testkit.Mistake(t, err, m.Tensors[7].Name, fmt.Sprintf("1 of %d values", len(m.Tensors[7].Data)))
		}
	}
}
