package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/uierr"
)

func write(t *testing.T, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRoundTrip: a resolved config that is written and read again is the same.
func TestRoundTrip(t *testing.T) {
	r,
		err := Load(write(t, "data: {kind: shapes, mean: [0.1, 0.2, 0.3]}\nallocator: {w: [1, 0.5, 0.1, 2], freeze: "+
		"[w2]}\ntrain: {steps: 3}"), []string{"sites.blocks=all", "optimizer.lr=1e-4"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Marshal(r.Config)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(write(t, string(b)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r.Config, again.Config) {
		t.Errorf("\n%+v\n%+v", r.Config, again.Config)
	}
	if r.Optimizer.LR != 1e-4 || r.Sites.Blocks != "all" || r.Train.Steps != 3 ||
		allocator.Start.Of(r.Allocator.Own)[3] != 2 {
		t.Errorf("layers were lost: %+v", r.Config)
	}
}

// TestMistakes: one entry per rule, with what its message must name.
func TestMistakes(t *testing.T) {
	for _, m := range [][2]string{
		{"trian: {steps: 1}", "no key trian"},
		{"train: {step: 1}", "no key train.step"},
		{"train: 3", "train is a section"},
		{"train: {steps: 1.5}", "train.steps: \"1.5\" is not a whole number"},
		{"train: {steps: [1]}", "a list is not a whole number"},
		{"train: {steps: 1}\ntrain: {seed: 1}", "given twice"},
		{"a: b: c", "mapping values"},
		{"data: {kind: shapes, augment: [spin]}", "data.augment"},
		{"data: {kind: folder}", "data.path is empty"},
		{"data: {kind: shapes}\nestimator: {schedule: all}", "estimator.schedule"},
		{"data: {kind: shapes}\nestimator: {sigma: 0}", "estimator.sigma"},
		{"data: {kind: shapes}\nestimator: {name: weight, learn_sigma: true}", "estimator.learn_sigma"},
		{"data: {kind: shapes}\nestimator: {noise: rademacher, qmc: sobol}", "estimator.qmc"},
		{"data: {kind: shapes}\nestimator: {name: bp}\nobjective: {kind: accuracy}", "objective.kind"},
		{"data: {kind: shapes}\nobjective: {kind: contrastive, embeddings: e.npy, test_embeddings: f.npy}",
			"objective.test_embeddings"},
		{"data: {kind: shapes}\ntrain: {batch_size: 1}\nobjective: {kind: contrastive, embeddings: e.npy, pairing: image}",
			"train.batch_size"},
		{"data: {kind: shapes}\nobjective: {kind: contrastive}", "objective.embeddings"},
		{"data: {kind: shapes}\nmodel: {kind: remote}", "model.url"},
		{"data: {kind: shapes}\nmodel: {kind: command}", "model.argv"},
		{"data: {kind: shapes}\nmodel: {timeout: soon}", "model.timeout"},
		{"data: {kind: shapes}\noptimizer: {betas: [0.9]}", "optimizer.betas"},
		{"data: {kind: shapes}\nallocator: {w: [1, 2]}", "allocator.w"},
		{"data: {kind: shapes}\nestimator: {antithetic: true}\nallocator: {min_queries: 3}\n" +
			"budget: {queries_per_image: 4}", "allocator.min_queries"},
		{"data: {kind: shapes}\nbudget: {queries_per_image: 2}\nallocator: {min_queries: 4}",
			"budget.queries_per_image"},
		{"data: {kind: shapes}\nbudget: {max_queries: 5}", "budget.max_queries"},
		{"data: {kind: shapes}\ntrain: {device: gpu}", "train.device"},
		{"data: {kind: shapes, path: '${FLOPS_NOT_SET_ANYWHERE}'}", "FLOPS_NOT_SET_ANYWHERE"},
	} {
		text, want := m[0], m[1]
		_, err := Load(write(t, text), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
			continue
		}
		if e, ok := uierr.As(err); !ok || e.Hint == "" {
			t.Errorf("%q: no hint: %v", text, err)
		}
	}
}

// TestPrecedence: default < extends < file < environment < --set.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"base.yaml": "data: {kind: shapes}\ntrain: {steps: 2, seed: 2, batch_size: 4, log_every: 2}",
		"c.yaml":    "extends: base.yaml\ntrain: {seed: 3, batch_size: 6, log_every: 3}",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("FLOPS_TRAIN_BATCH_SIZE", "8")
	t.Setenv("FLOPS_TRAIN_LOG_EVERY", "4")
	r, err := Load(filepath.Join(dir, "c.yaml"), []string{"train.log_every=5"})
	if err != nil {
		t.Fatal(err)
	}
	if got := [4]int{r.Train.Steps, int(r.Train.Seed), r.Train.BatchSize, r.Train.LogEvery}; got != [4]int{2, 3, 8, 5} {
		t.Errorf("%v", got)
	}
}

// TestSchema: every key has a description, every bound and enum names a key,
// and every shipped experiment is valid.
func TestSchema(t *testing.T) {
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	for _, k := range Keys() {
		if f, _ := find(k); f.doc() == "" {
			t.Errorf("%s is not explained in config.go", k)
		}
	}
	for k := range ordered {
		if _, ok := find(k); !ok {
			t.Errorf("choices for %s, which is no key", k)
		}
	}
	for k := range bounds {
		if _, ok := find(k); !ok {
			t.Errorf("bounds for %s, which is no key", k)
		}
	}
	have, err := os.ReadFile("../../configs/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != string(b) {
		t.Error("configs/schema.json is stale: flops config schema > configs/schema.json")
	}
}

// TestSmoke: a shrunk experiment is still valid.
func TestSmoke(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		r, err := Load(f, nil)
		if err != nil {
			if e, ok := uierr.As(err); ok && strings.Contains(e.What, "model.url") {
				continue // needs --set model.url
			}
			t.Errorf("%s: %v", f, err)
			continue
		}
		Smoke(&r.Config)
		if err := Validate(&r.Config); err != nil {
			t.Errorf("%s, shrunk: %v", f, err)
		}
		if r.Train.Steps > 3 || r.Train.BatchSize > 8 {
			t.Errorf("%s is not small: %+v", f, r.Train)
		}
	}
}

// TestPaperIsTheOrigin: configs/paper.yaml says of every key what configs/cifar5.yaml
// of the first versions did, with what its folder's were.
func TestPaperIsTheOrigin(t *testing.T) {
	r, err := Load(filepath.Join("..", "..", "configs", "paper.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Origin()
	want.Name, want.Model.Path, want.Data.Path = "paper", r.Model.Path, r.Data.Path
	want.Estimator.Schedule = r.Estimator.Schedule // its default and the name of it
	want.Train.Steps, want.Train.EvalEvery, want.Checkpoint.Every = 75, 25, 25
	if d := Differences(want, r.Config); len(d) > 0 {
		t.Errorf("not what it was: %+v", d)
	}
	if s := r.Estimator.Schedule; s != "" && s != "per_site" {
		t.Errorf("schedule %s", s)
	}
}
