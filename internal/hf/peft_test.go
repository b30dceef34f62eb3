package hf

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/testkit"
)

const (
	aQuery = "vit.encoder.layer.0.attention.attention.query.weight"
	aOut   = "vit.encoder.layer.1.output.dense.weight"
)

// adapterOf writes a small model and an adapter of it.
func adapterOf(t testing.TB) (base, dir string, m *Model, a *Adapter) {
	t.Helper()
	base, dir = t.TempDir(), filepath.Join(t.TempDir(), "adapter")
	m = build(tinyConfig(), 3, 1)
	testkit.Must(t, Save(fsys.OS, base, m, safetensors.F32))
	q, _ := m.Tensor(aQuery)
	o, _ := m.Tensor(aOut)
	factor := func(name string, w safetensors.Tensor) Factor {
		return Factor{Weight: name, In: w.Shape[1], A: testkit.Fill(2*w.Shape[1], 1), B: testkit.Fill(2*w.Shape[0], 2)}
	}
	head, _ := m.Tensor("classifier.weight")
	head.Data = testkit.Fill(len(head.Data), 5)
	bias, _ := m.Tensor("classifier.bias")
	a = &Adapter{Rank: 2, Scale: 1.5, Base: base, Factors: []Factor{factor(aQuery, q), factor(aOut, o)},
		Whole: []safetensors.Tensor{head, bias}}
	testkit.Must(t, SaveAdapter(fsys.OS, dir, m, a, false))
	return base, dir, m, a
}

// TestAdapter: an adapter's folder loads as the model that it names with W + scale·B·A
// in the place of its weights, its classifier, and everything else as it was.
func TestAdapter(t *testing.T) {
	_, dir, before, a := adapterOf(t)
	got, err := Load(dir)
	testkit.Must(t, err)
	for _, t0 := range before.Tensors {
		now, _ := got.Tensor(t0.Name)
		var f *Factor
		for i := range a.Factors {
			if a.Factors[i].Weight == t0.Name {
				f = &a.Factors[i]
			}
		}
		for i, v := range t0.Data {
			want := float64(v)
			switch {
			case f != nil:
				for k := range 2 {
					want += 1.5 * float64(f.B[i/f.In*2+k]) * float64(f.A[k*f.In+i%f.In])
				}
			case t0.Name == "classifier.weight":
				want = float64(a.Whole[0].Data[i])
			}
			if math.Abs(want-float64(now.Data[i])) > 1e-6 {
				t.Fatalf("%s[%d] is %v, want %v", t0.Name, i, now.Data[i], want)
			}
		}
	}
	apart, err := Load(a.Base)
	testkit.Must(t, err)
	read, err := ReadAdapter(dir)
	testkit.Must(t, err)
	factors, err := read.Apart(apart)
	testkit.Must(t, err)
	if w, _ := apart.Tensor(aQuery); len(factors) != 2 || factors[aQuery].In != w.Shape[1] {
		t.Errorf("%d factors apart", len(factors))
	}
}

// TestAdapterNames: the names of version 5 of transformers are the same weights, and
// files of a family for which they are not known are refused.
func TestAdapterNames(t *testing.T) {
	_, dir, m, a := adapterOf(t)
	want, err := Load(dir)
	testkit.Must(t, err)
	fifth := filepath.Join(t.TempDir(), "fifth")
	testkit.Must(t, SaveAdapter(fsys.OS, fifth, m, a, true))
	read, err := ReadAdapter(fifth)
	testkit.Must(t, err)
	if n := read.Factors[0].Weight; n != "vit.layers.0.attention.q_proj.weight" {
		t.Errorf("the query of version 5 is %s", n)
	}
	got, err := Load(fifth)
	testkit.Must(t, err)
	for _, name := range []string{aQuery, aOut} {
		x, _ := got.Tensor(name)
		y, _ := want.Tensor(name)
		if x.Data[1] != y.Data[1] {
			t.Errorf("%s is %v under the other names, %v under these", name, x.Data[1], y.Data[1])
		}
	}
	a.Factors[0].Weight = "beit.encoder.layer.0.attention.attention.query.weight"
	testkit.Mistake(t, SaveAdapter(fsys.OS, filepath.Join(t.TempDir(), "no"), m, a, true), "is not known")
}

// TestAdapterRefusals: what is no W + scale·B·A of the model is refused by name.
func TestAdapterRefusals(t *testing.T) {
	base, dir, _, _ := adapterOf(t)
	path := filepath.Join(dir, adapterConfig)
	good, err := os.ReadFile(path)
	testkit.Must(t, err)
	for _, c := range []struct{ from, to, says string }{
		{`"LORA"`, `"IA3"`, "peft_type IA3"},
		{`"use_dora": false`, `"use_dora": true`, "use_dora"},
		{`"fan_in_fan_out": false`, `"fan_in_fan_out": true`, "fan_in_fan_out"},
		{`"r": 2`, `"r": 3`, "rank 3"},
		{`"r": 2`, `"r": 0`, "r of 0"},
		{`"r": 2`, `"r": 2, "rank_pattern": {"query": 4}`, "rank_pattern"},
		{`"init_lora_weights": true`, `"init_lora_weights": "pissa"`, "init_lora_weights pissa"},
		{`"` + base, `"` + base + "x", "no folder here"},
		{`{`, `[`, "adapter_config.json"},
	} {
		text := strings.Replace(string(good), c.from, c.to, 1)
		if text == string(good) {
			t.Fatalf("no %s in %s", c.from, good)
		}
		testkit.Write(t, path, []byte(text))
		_, err := Load(dir)
		testkit.Mistake(t, err, c.says)
	}
	rooted := strings.NewReplacer(`"use_rslora": false`, `"use_rslora": true`).Replace(string(good))
	testkit.Write(t, path, []byte(rooted))
	if a, err := ReadAdapter(dir); err != nil || math.Abs(a.Scale-3/math.Sqrt2) > 1e-12 {
		t.Errorf("rank-stabilised scale %v, %v", a, err)
	}
	testkit.Write(t, path, good)
	_, err = Inspect(dir)
	testkit.Mistake(t, err, "an adapter of rank 2 beside 2 weights")
	weights := filepath.Join(dir, adapterWeights)
	tensors, meta, err := safetensors.ReadFile(weights)
	testkit.Must(t, err)
	for name, says := range map[string]string{
		"base_model.model.vit.encoder.layer.9.output.dense.lora_B.weight": "one factor",
		"vit.x": "none of a LoRA", "base_model.model.x.lora_embedding_A": "none that is read"} {
		changed := append([]safetensors.Tensor{}, tensors...)
		changed[len(changed)-1].Name = name
		for i := range changed {
			if strings.HasSuffix(changed[i].Name, "layer.1.output.dense"+peftB) && says == "one factor" {
				changed[i].Name, changed[len(changed)-1].Name = name, tensors[len(tensors)-1].Name
			}
		}
		f, err := os.Create(weights)
		testkit.Must(t, err)
		testkit.Must(t, safetensors.Write(f, changed, safetensors.F32, meta))
		testkit.Must(t, f.Close())
		_, err = Load(dir)
		testkit.Mistake(t, err, says)
	}
	testkit.Must(t, os.Remove(weights))
	_, err = Load(dir)
	testkit.Mistake(t, err, "no such file")
}
