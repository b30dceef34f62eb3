package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

// newcomer is an implementation that a test registers, which takes a number from
// 0 to 1 and one of two words, and learns a parameter.
type newcomer struct {
	choose       string // the key that chooses it
	name         string
	number, word string // its keys, without the section
	first        string // the word that the other one, "second", stands beside
	column       string // of metrics.jsonl
	param, doc   string // what it learns
	tag          string // of the parameter in TensorBoard
}

func (n newcomer) section() string {
	s, _, _ := strings.Cut(n.choose, ".")
	return s
}

func (n newcomer) key(name string) string { return n.section() + "." + name }

// experiment is a small one that the newcomer is part of.
func (n newcomer) experiment(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "new.yaml")
	text := fmt.Sprintf(`model: {arch: {image: 8, patch: 4, hidden: 16, layers: 1, heads: 2, mlp: 16}}
data: {kind: shapes, size: 8, count: 24, test_count: 8}
train: {steps: 4, batch_size: 4, device: cpu, eval_every: 2}
budget: {queries_per_image: 4}
%s: {%s: %s, %s: 0.25}
`, n.section(), strings.TrimPrefix(n.choose, n.section()+"."), n.name, n.number)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// accepted checks that everything knows the newcomer from its registration alone.
func (n newcomer) accepted(t *testing.T) {
	path := n.experiment(t)
	n.described(t)
	n.validated(t, path)
	n.trained(t, path)
}

// described: the schemas and shell completion offer its settings.
func (n newcomer) described(t *testing.T) {
	t.Helper()
	type property struct {
		Description string
		Default     any
		AnyOf       []map[string]any
		Properties  map[string]property
	}
	var schema property
	if err := json.Unmarshal([]byte(must1(t, "config", "schema")), &schema); err != nil {
		t.Fatal(err)
	}
	number, word := schema.Properties[n.section()].Properties[n.number], schema.Properties[n.section()].Properties[n.word]
	if number.Default != 0.5 || len(number.AnyOf) == 0 || number.AnyOf[0]["maximum"] != 1.0 ||
		!strings.HasPrefix(number.Description, n.name+": ") {
		t.Errorf("the schema says of %s: %+v", n.key(n.number), number)
	}
	if word.Default != n.first || !strings.Contains(fmt.Sprint(word.AnyOf), "["+n.first+" second]") {
		t.Errorf("the schema says of %s: %+v", n.key(n.word), word)
	}
	if arms := must1(t, "config", "schema", "--arms"); !strings.Contains(arms, n.section()+`\\.`+n.number) {
		t.Error("the schema of arms does not know", n.key(n.number))
	}
	if got := must1(t, "__complete", "train", "--set", n.key(n.number[:2])); !strings.Contains(got, n.key(n.number)+"=") {
		t.Errorf("completion offers %q", got)
	}
	if got := must1(t, "__complete", "train", "--set", n.key(n.word)+"="); !strings.Contains(got, "=second") {
		t.Errorf("completion of %s offers %q", n.key(n.word), got)
	}
}

// validated: its values come from every layer, and mistakes are told.
func (n newcomer) validated(t *testing.T, path string) {
	t.Helper()
	show := func(more ...string) string {
		return must1(t, append([]string{"config", "show", "--config", path}, more...)...)
	}
	line := func(value any) string { return fmt.Sprintf("\n    %s: %v\n", n.number, value) }
	first := fmt.Sprintf("\n    %s: %s\n", n.word, n.first)
	if got := show(); !strings.Contains(got, line(0.25)) || !strings.Contains(got, first) {
		t.Errorf("config show does not say what the file and the default do:\n%s", got)
	}
	if got := show("--set", n.key(n.number)+"=1"); !strings.Contains(got, line(1)) {
		t.Errorf("config show does not say what --set does:\n%s", got)
	}
	t.Run("environment", func(t *testing.T) {
		t.Setenv("FLOPS_"+strings.ToUpper(n.section()+"_"+n.number), "0.75")
		if got := show(); !strings.Contains(got, line(0.75)) {
			t.Errorf("config show does not say what the environment does:\n%s", got)
		}
	})
	for set, want := range map[string][2]string{
		n.key(n.number) + "x=1":       {"no key " + n.key(n.number) + "x", "did you mean " + n.key(n.number) + "?"},
		n.key(n.number) + "=2":        {n.key(n.number) + ": 2 is out of range", "give a number from 0 to 1"},
		n.key(n.number) + "=much":     {`"much" is not a number`, n.key(n.number) + " takes a number"},
		n.key(n.word) + "=secnd":      {n.key(n.word) + `: "secnd" is no choice`, "did you mean second?"},
		n.choose + "=" + n.name + "x": {n.choose, "did you mean " + n.name + "?"},
	} {
		_, err := do(t, "config", "validate", "--config", path, "--set", set)
		if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, want[0]) || !strings.Contains(e.Hint, want[1]) {
			t.Errorf("--set %s: %v, want %q and %q", set, err, want[0], want[1])
		}
	}
}

// trained: a run uses it, and draws what it learned.
func (n newcomer) trained(t *testing.T, path string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	must1(t, "train", "--config", path, "--output", dir, "--set", n.key(n.word)+"=second")
	read := func(name string) string {
		all, err := filepath.Glob(filepath.Join(dir, name))
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %v, %v", name, all, err)
		}
		raw, err := os.ReadFile(all[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for _, line := range []string{n.number + ": 0.25", n.word + ": second"} {
		if !strings.Contains(read("config.yaml"), "    "+line+"\n") {
			t.Errorf("the run's config.yaml has no %s", line)
		}
	}
	last := bytes.Split(bytes.TrimSpace([]byte(read("metrics.jsonl"))), []byte("\n"))[3]
	var m map[string]any
	if err := json.Unmarshal(last, &m); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(m[n.column]); got != "[1]" { // a quarter for each of four steps
		t.Errorf("metrics.jsonl says that %s learned %s", n.name, got)
	}
	if !strings.Contains(read("tb/events.*"), n.tag) {
		t.Errorf("no TensorBoard record of %s", n.tag)
	}
	must1(t, "report", dir, "--images", "0")
	page := read("report.html")
	if !strings.Contains(page, drawn(n.param, n.doc)) {
		t.Errorf("the run's page does not draw %s", n.param)
	}
}

// drawn is what a page says at the chart of what was learned: its name, and below it
// the sentence of its registration.
func drawn(name, doc string) string {
	return "<figcaption>" + name + `<span class="how">` + strings.ToUpper(doc[:1]) + doc[1:]
}
