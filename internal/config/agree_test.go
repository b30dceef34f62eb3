package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

const (
	shapes  = "data: {kind: shapes}\n"
	remote  = shapes + "estimator: {name: weight}\nprompt: {kind: frame}\nmodel: "
	aligned = shapes + "objective: "
)

// agreement lists experiments and whether they are right.
var agreement = []struct {
	text string
	want bool
}{
	// words and numbers
	{shapes, true}, {shapes + "train: {steps: 5}", true}, {shapes + "train: {steps: 3.0}", true},
	{shapes + "train: {steps: 1e2}", true}, {shapes + "train: {steps: 3.5}", false},
	{shapes + "train: {steps: '5'}", false}, {shapes + "train: {steps: -1}", false},
	{shapes + "train: {steps: many}", false}, {shapes + "train: {steps: 2e9}", false},
	{shapes + "train: {steps: [5]}", false}, {shapes + "train: {steps: }", false},
	{shapes + "train: {steps: true}", false}, {shapes + "train: {seed: -3}", true},
	{shapes + "train: {seed: 9223372036854775807}", true}, {shapes + "train: {seed: 9223372036854775808}", false},
	{shapes + "train: {seed: 0x10}", true}, {shapes + "data2: 1", false}, {shapes + "train: {stepz: 1}", false},
	{shapes + "optimizer: {lr: 1}", true}, {shapes + "optimizer: {lr: 1e-3}", true},
	{shapes + "optimizer: {lr: 0}", false}, {shapes + "optimizer: {lr: .nan}", false},
	{shapes + "optimizer: {lr: .inf}", false}, {shapes + "optimizer: {lr: 1e400}", false},
	{shapes + "optimizer: {lr: fast}", false}, {shapes + "optimizer: {min_lr: 0}", true},
	{shapes + "estimator: {antithetic: yes}", true}, {shapes + "estimator: {antithetic: on}", true},
	{shapes + "estimator: {antithetic: NO}", true}, {shapes + "estimator: {antithetic: y}", true},
	{shapes + "estimator: {antithetic: true}", true}, {shapes + "estimator: {antithetic: perhaps}", false},
	{shapes + "estimator: {antithetic: 1}", false}, {shapes + "estimator: {antithetic: }", false},
	{shapes + "estimator: {antithetic: 'yes'}", true},
	// sections
	{shapes + "train:", true}, {shapes + "train: 3", false}, {shapes + "train: [a]", false},
	{shapes + "train: {}", true}, {"data:\n", false}, {"[]", false}, {"3", false},
	{shapes + "prompt: {mapping: }", true}, {shapes + "prompt: {mapping: linear}", false},
	{shapes + "train:\n  <<: {steps: 3}", true}, {shapes + "train:\n  <<: {steps: 3.5}", false},
	{shapes + "optimizer: &a {lr: 1}\nallocator: {<<: *a}", true},
	{shapes + "train: {steps: 1}\ntrain: {seed: 1}", false},
	// variables
	{shapes + "train:\n  steps: ${NONE:-5}", true}, {shapes + `train: {steps: "${NONE:-5}"}`, true},
	{shapes + `train: {steps: "1${NONE:-5}"}`, true},
	{shapes + `optimizer: {lr: "${NONE:-1e-3}", betas: ["${NONE:-0.9}", 0.9], name: "${NONE:-sgd}"}`, true},
	{shapes + `estimator: {antithetic: "${NONE:-no}"}`, true},
	{shapes + `model: {timeout: "${NONE:-30s}", url: "${NONE:-http://h:1}"}`, true},
	{shapes + `sites: {kinds: "${NONE:-[query, key]}", blocks: "${NONE:-all}"}`, true},
	{shapes + `data: {classes: ["${NONE:-cat}"]}`, false}, {shapes + `train: {steps: "$N"}`, false},
	{shapes + `train: "${NONE:-x}"`, false}, {`data: {kind: "${NONE:-shapes}"}`, true},
	{shapes + `name: "${NONE:-x}"`, true},
	// lists and texts
	{"data: {kind: folder, path: x, classes: cat}", true},
	{"data: {kind: folder, path: x, classes: [cat, 5, yes]}", true},
	{"data: {kind: folder, path: x, classes: 5}", true}, {"data: {kind: folder, path: x, classes: }", true},
	{"data: {kind: folder, path: x, classes: [a, ~]}", false},
	{"data: {kind: folder, path: x, classes: [[a]]}", false},
	{"data: {kind: folder, path: x, classes: {a: b}}", false}, {shapes + "sites: {kinds: query}", true},
	{shapes + "sites: {kinds: [query, keys]}", false}, {shapes + "sites: {kinds: }", true},
	{"data: {kind: folder, path: 5}", true}, {"data: {kind: folder, path: }", false},
	{"data: {kind: folder, path: ''}", false}, {"data: {kind: folder}", false}, {"data: {kind: shape}", false},
	{"name: 5\n" + shapes, true}, {"name: ../../evil\n" + shapes, false}, {"name: a/b\n" + shapes, false},
	{"name: ..\n" + shapes, false}, {"name: -x\n" + shapes, false}, {"name: -5\n" + shapes, false},
	{"name: CON\n" + shapes, false}, {"name: 'a b'\n" + shapes, true}, {"name: \"a\\nb\"\n" + shapes, false},
	{"name:\n" + shapes, false}, {"name: [a]\n" + shapes, false}, {"name: true\n" + shapes, true},
	{"data: {kind: shapes, mean: 0.5, std: [0.5]}", true}, {"data: {kind: shapes, mean: [0.1, 0.2, 0.3]}", true},
	{"data: {kind: shapes, mean: [0.1, 0.2]}", false}, {"data: {kind: shapes, mean: }", true},
	{"data: {kind: shapes, std: [0, 1, 1]}", false}, {"data: {kind: shapes, std: -1}", false},
	{"data: {kind: shapes, std: x}", false}, {shapes + "optimizer: {betas: [0.9]}", false},
	{shapes + "optimizer: {betas: [0.9, 0.99]}", true}, {shapes + "optimizer: {betas: [0.9, 1]}", false},
	{shapes + "optimizer: {betas: [0.9, 0.9, 0.9]}", false}, {shapes + "optimizer: {betas: 0.9}", false},
	{shapes + "optimizer: {betas: }", false}, {shapes + "optimizer: {betas: [0, -0.1]}", false},
	{shapes + "optimizer: {betas: [0.9, .inf]}", false}, {shapes + "allocator: {w: [1, 2, 3, 4]}", true},
	{shapes + "allocator: {w: []}", true}, {shapes + "allocator: {w: }", true},
	{shapes + "allocator: {w: [1, 2]}", false}, {shapes + "allocator: {w: 1}", false},
	{shapes + "allocator: {freeze: w0}", true}, {shapes + "allocator: {freeze: [w5]}", false},
	{shapes + "prompt: {mapping: {kind: given, given: [3, 1.0]}}", true},
	{shapes + "prompt: {mapping: {kind: given, given: [-1]}}", false},
	{"data: {kind: shapes, validation: 0.1}", true}, {"data: {kind: shapes, validation_split: val}", true},
	{"data: {kind: shapes, validation_split: val, validation: 0}", true}, {"data: {kind: shapes, validation: 2}", false},
	{"data: {kind: shapes, validation: 0.1, validation_split: val}", false},
	{shapes + "checkpoint: {best: validation}", false}, {shapes + "checkpoint: {best: test}", true},
	{"data: {kind: shapes, validation: 0.1}\ncheckpoint: {best: validation}", true},
	{"data: {kind: shapes, validation_split: val}\ncheckpoint: {best: validation}", true},
	{shapes + "train: {metrics: ece}", true}, {shapes + "train: {metrics: [ece, top1]}", true},
	{shapes + "train: {metrics: [ec]}", false}, {shapes + "train: {metrics: }", true},
	{shapes + "checkpoint: {best_metric: loss}", true}, {shapes + "checkpoint: {best_metric: ''}", true},
	{shapes + "checkpoint: {best_metric: ece}", false}, {shapes + "checkpoint: {best_metric: f1}", false},
	{shapes + "checkpoint: {best_metric: ece}\ntrain: {metrics: ece}", true},
	{shapes + "checkpoint: {best_metric: ece}\ntrain: {metrics: [loss, ece]}", true},
	{shapes + "checkpoint: {best_metric: ece}\ntrain: {metrics: [loss]}", false},
	{shapes + "checkpoint: {best_metric: ece}\ntrain: {metrics: }", false},
	// forms
	{shapes + "model: {timeout: 30x}", false}, {shapes + "model: {timeout: 30}", false},
	{shapes + "model: {timeout: 1m30s}", true}, {shapes + "model: {timeout: 1.5h}", true},
	{shapes + "model: {timeout: 0s}", false}, {shapes + "model: {timeout: -3s}", false},
	{shapes + "model: {timeout: ''}", false}, {shapes + "model: {timeout: 250ms}", true},
	{shapes + "sites: {blocks: lastest-1}", false}, {shapes + "sites: {blocks: last-2}", true},
	{shapes + "sites: {blocks: all}", true}, {shapes + "sites: {blocks: 'last-'}", false},
	{shapes + "sites: {blocks: '3, 4,5'}", true}, {shapes + "sites: {blocks: 3}", true},
	{shapes + "sites: {blocks: -3}", false}, {shapes + "sites: {blocks: '3,,4'}", false},
	{shapes + "sites: {blocks: none}", true}, {shapes + "sites: {blocks: [3, 4]}", false},
	{shapes + "sites: {blocks: last}", false}, {shapes + "train: {device: gpu}", false},
	{shapes + "train: {device: 'cuda:1'}", true}, {shapes + "train: {device: 'cuda:x'}", false},
	{shapes + "train: {device: 'cuda:'}", false}, {remote + "{kind: remote, url: 'http://h:1', name: v}", true},
	{remote + "{kind: remote, url: 'h:1', name: v}", false},
	{remote + "{kind: remote, url: 'ftp://h', name: v}", false},
	{remote + "{kind: remote, url: 'http://h:1?x=1', name: v}", false},
	{remote + "{kind: remote, url: 'http://me:secret@h', name: v}", false},
	{remote + "{kind: remote, url: 'http://[::1]:80/v', name: v}", true},
	{remote + "{kind: remote, url: 'http://h:x', name: v}", false},
	{remote + "{kind: remote, url: 'http://', name: v}", false},
	{remote + "{kind: remote, url: 'HTTPS://h', name: 5}", true},
	// rules between keys
	{shapes + "model: {kind: remote}", false}, {remote + "{kind: remote}", false},
	{remote + "{kind: remote, url: 'http://h:1'}", false}, {remote + "{kind: remote, name: v}", false},
	{shapes + "model: {kind: remote, url: 'http://h:1', name: v}", false}, {remote + "{kind: command}", false},
	{remote + "{kind: command, argv: [a, b]}", true}, {remote + "{kind: command, argv: a}", true},
	{remote + "{kind: command, argv: []}", false},
	{remote + "{kind: command, argv: a}\nobjective: {kind: contrastive, embeddings: e.npy}", false},
	{shapes + "estimator: {name: weight, schedule: all}", true},
	{shapes + "estimator: {name: weight, schedule: joint}", false}, {shapes + "estimator: {schedule: all}", false},
	{shapes + "estimator: {schedule: joint}", true}, {shapes + "estimator: {name: bp, schedule: joint}", false},
	{shapes + "estimator: {name: bp}", true}, {shapes + "estimator: {name: bp}\nobjective: {kind: accuracy}", false},
	{shapes + "estimator: {name: weight}\nobjective: {kind: accuracy}", true},
	{shapes + "estimator: {learn_sigma: true}", true},
	{shapes + "estimator: {name: weight, learn_sigma: yes}", false},
	{shapes + "estimator: {learn_sigma: on, noise: rademacher}", false},
	{shapes + "estimator: {noise: rademacher, qmc: sobol}", false}, {shapes + "estimator: {noise: rademacher}", true},
	{shapes + "estimator: {schedule: joint}\nsites: {params: [norm]}", false},
	{shapes + "estimator: {schedule: joint}\nsites: {params: norm}", false},
	{shapes + "estimator: {schedule: joint}\nsites: {params: []}", true}, {aligned + "{kind: contrastive}", false},
	{aligned + "{kind: contrastive, embeddings: e.npy}", true},
	{aligned + "{kind: contrastive, embeddings: e.npy, test_embeddings: f.npy}", false},
	{aligned + "{kind: contrastive, embeddings: e.npy, pairing: image, test_embeddings: f.npy}", true},
	{aligned + "{kind: contrastive, embeddings: e.npy, pairing: image}\ntrain: {batch_size: 1}", false},
	{shapes + "allocator: {min_queries: 3}\nestimator: {antithetic: yes}\nbudget: {queries_per_image: 4}", false},
	{shapes + "allocator: {min_queries: 3}\nbudget: {queries_per_image: 4}", true},
	{shapes + "allocator: {min_queries: 4}\nestimator: {antithetic: yes}\nbudget: {queries_per_image: 4}", true},
	{shapes + "prompt: {kind: tokens}\nestimator: {schedule: joint}", false},
	{shapes + "prompt: {kind: tokens}", true}, {remote + "{kind: command, argv: a}\nprompt: {kind: tokens}", false},
	{shapes + "model: {arch: {channels: 2}}", false}, {shapes + "model: {arch: {image: 0}}", false},
	{shapes + "model: {arch: {layers: -1}}", false}, {shapes + "model: {arch: {layers: 2}}", true},
}

// TestSchemaAgrees: the schema and the program take and refuse the same.
func TestSchemaAgrees(t *testing.T) {
	raw, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	s := testkit.Schema(t, raw)
	for _, c := range agreement {
		_, err := Load(write(t, c.text), nil)
		if (err == nil) != c.want {
			t.Errorf("%q: the program says %v", c.text, err)
		}
		if err := testkit.Takes(s, c.text); (err == nil) != c.want {
			t.Errorf("%q: the schema says %v", c.text, err)
		}
	}
}

// TestSchemaOfShipped: every shipped experiment is right by the schema, and so
// is what 'config show' prints of it.
func TestSchemaOfShipped(t *testing.T) {
	raw, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	s := testkit.Schema(t, raw)
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := testkit.Takes(s, string(text)); err != nil {
			t.Errorf("%s: %v", f, err)
		}
		r, err := Load(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := Marshal(r.Config)
		if err != nil {
			t.Fatal(err)
		}
		if err := testkit.Takes(s, string(shown)); err != nil {
			t.Errorf("%s as shown: %v", f, err)
		}
	}
	extending := "extends: base.yaml\nmodel: {kind: remote}\n"
	if err := testkit.Takes(s, extending); err != nil {
		t.Errorf("what extends another is judged by what it leaves out: %v", err)
	}
}
