package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

// what reads a key of a resolved experiment.
func (c *Config) what(key string) any {
	f, ok := find(key)
	if !ok {
		panic("no key " + key)
	}
	return f.of(c).Interface()
}

// hard are texts that YAML reads as something else.
var hard = []string{"photos #1", "/data/set #2", "a: b", "*star", "&and", "!bang", "[x", "{y", "{a: b}", `"quoted"`,
	"'single'",
	"null", "~", "yes", "no", "12", "1e3", "0x10", "- dash", "? q", "%p", "@at", "`tick`", "|", ">", "a\tb",
	" before", "after ", "a\nb", "<<", ",", "2024-01-02", "ä ü", ""}

// TestTextsAreLiteral: whatever a key for texts gets by --set, by the
// environment or by an expansion is that text.
func TestTextsAreLiteral(t *testing.T) {
	for _, s := range hard {
		r, err := Load(write(t, "data: {kind: shapes}"), []string{"data.path=" + s})
		if err != nil || r.Data.Path != s {
			t.Errorf("--set data.path=%q gives %q, %v", s, r.Data.Path, err)
		}
		t.Setenv("FLOPS_DATA_PATH", s)
		r, err = Load(write(t, "data: {kind: shapes}"), nil)
		if err != nil || r.Data.Path != s {
			t.Errorf("FLOPS_DATA_PATH=%q gives %q, %v", s, r.Data.Path, err)
		}
		os.Unsetenv("FLOPS_DATA_PATH")
		if s == "" {
			continue
		}
		t.Setenv("WHERE", s)
		for _, text := range []string{"data:\n  kind: shapes\n  path: ${WHERE}\n",
			`data: {kind: shapes, path: "${WHERE}"}`} {
			r, err = Load(write(t, text), nil)
			if err != nil || r.Data.Path != s {
				t.Errorf("%s with WHERE=%q gives %q, %v", text, s, r.Data.Path, err)
			}
			b, err := Marshal(r.Config)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := Load(write(t, string(b)), nil); err != nil || again.Data.Path != s {
				t.Errorf("%q is written and read as %v, %v", s, again, err)
			}
		}
	}
}

// TestSet: the value that each text gives a key.
func TestSet(t *testing.T) {
	t.Setenv("N", "7")
	t.Setenv("LIST", "[a, b]")
	t.Setenv("DEEP", "${N}")
	for _, c := range []struct {
		set  string
		want any // nil: refused
	}{
		{"train.steps=10", 10}, {"train.steps= 10 ", 10}, {"train.steps=3.0", 3}, {"train.steps=1e2", 100},
		{"train.steps=${N}", 7}, {"train.steps=${NONE:-5}", 5},
		{"train.steps=1.5", nil}, {"train.steps=10 # ten", nil}, {`train.steps="10"`, nil}, {"train.steps=", nil},
		{"train.steps=[1]", nil}, {"train.steps=null", nil},
		{"train.steps=1e30", nil}, {"train.seed=9223372036854775807", int64(9223372036854775807)},
		{"train.seed=9223372036854775808", nil}, {"train.seed=1e300", nil},
		{"optimizer.lr=1e-4", 1e-4}, {"optimizer.lr=1", 1.0}, {"optimizer.lr=.nan", nil}, {"optimizer.lr=.inf",
			nil}, {"optimizer.lr=1e400", nil},
		{"estimator.antithetic=yes", true}, {"estimator.antithetic=Off", false}, {"estimator.antithetic=TRUE",
			true}, {"estimator.antithetic=1", nil},
		{"data.classes=[cat, dog]", []string{"cat", "dog"}}, {"data.classes=cat", []string{"cat"}},
		{"data.classes=photos #1", []string{"photos #1"}},
		{"data.classes=[01, yes]", []string{"01", "yes"}}, {`data.classes=["a, b", 'c: d']`, []string{"a, b",
			"c: d"}}, {"data.classes=- a\n- b", []string{"a", "b"}},
		{"data.classes=", []string{}}, {"data.classes=null", []string{}}, {"data.classes=[a", nil},
		{"data.classes=[a, ~]", nil}, {"data.classes=[[a]]", nil},
		{"data.classes=[a]\n---\n[b]", nil}, {"data.classes=${LIST}", []string{"a", "b"}}, {"data.classes=${DEEP}",
			[]string{"${N}"}},
		{"data.mean=0.5", []float32{0.5}}, {"data.mean=[0.5, 1, 0]", []float32{0.5, 1, 0}}, {"data.mean=[0.5, x]",
			nil}, {"data.mean=[1e300]", nil},
		{"prompt.mapping.given=[3, 1.0]", []int{3, 1}}, {"prompt.mapping.given=[3, 1.5]", nil},
	} {
		r, err := Load(write(t, "data: {kind: shapes, classes: [z]}"), []string{c.set})
		key, _, _ := strings.Cut(c.set, "=")
		switch {
		case c.want == nil:
			if e, ok := uierr.As(err); !ok || e.Hint == "" || !strings.Contains(e.What, key) {
				t.Errorf("--set %q: %v, want a mistake that names %s", c.set, err, key)
			}
		case err != nil:
			t.Errorf("--set %q: %v", c.set, err)
		case !reflect.DeepEqual(r.what(key), c.want):
			t.Errorf("--set %q gives %#v, want %#v", c.set, r.what(key), c.want)
		}
	}
}

// TestFileValues: expansions, words and merges as a file may have them.
func TestFileValues(t *testing.T) {
	t.Setenv("LIST", "[a, b]")
	for _, c := range []struct {
		text, key string
		want      any
	}{
		{`train: {steps: "${N:-5}"}`, "train.steps", 5},
		{"train:\n  steps: ${N:-5}", "train.steps", 5},
		{"train:\n  steps: '1${N:-5}'", "train.steps", 15},
		{`optimizer: {lr: "${LR:-1e-2}"}`, "optimizer.lr", 0.01},
		{`estimator: {antithetic: "${A:-no}", noise: "${B:-rademacher}"}`, "estimator.antithetic", false},
		{`data: {mean: ["${M:-0.25}"]}`, "data.mean", []float32{0.25}},
		{`data: {classes: "${LIST}"}`, "data.classes", []string{"a", "b"}},
		{"data:\n  classes: ${C:-[c, d]}", "data.classes", []string{"c", "d"}},
		{`data: {classes: ["${LIST}"]}`, "data.classes", []string{"[a, b]"}},
		{"train: {steps: 3.0}", "train.steps", 3},
		{"estimator: {antithetic: yes}", "estimator.antithetic", true},
		{"name: 5", "name", "5"},
		{"train:", "train.steps", 100},
		{"train:\n  <<: {steps: 3, seed: 4}\n  seed: 9", "train.steps", 3},
		{"train:\n  <<: {steps: 3, seed: 4}\n  seed: 9", "train.seed", int64(9)},
		{"train:\n  seed: 9\n  <<: [{steps: 3}, {steps: 4, seed: 5}]", "train.steps", 3},
		{"<<: {train: {steps: 6}}", "train.steps", 6},
		{"optimizer: &x {lr: 0.5}\nallocator:\n  <<: *x", "allocator.lr", 0.5},
		{"# a comment\n%YAML 1.2\n---\ntrain: {steps: 8}", "train.steps", 8},
		{"---\ntrain: {steps: 8}\n...\n# the end\n", "train.steps", 8},
	} {
		r, err := Load(write(t, c.text), []string{"data.kind=shapes"})
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		} else if !reflect.DeepEqual(r.what(c.key), c.want) {
			t.Errorf("%q: %s is %#v, want %#v", c.text, c.key, r.what(c.key), c.want)
		}
	}
	bomb := "train:\n  <<:\n  - &a0 {steps: 1}\n"
	for i := range 9 {
		prev := "*a" + string(rune('0'+i))
		bomb += "  - &a" + string(rune('1'+i)) + " {<<: [" + strings.Repeat(prev+", ", 9) + prev + "]}\n"
	}
	for text, want := range map[string]string{
		"train: {steps: 7}\n---\ntrain: {steps: 9}": ":2: a second document",
		"train: {steps: 7}\n---\n":                  "a second document", "a: 1\n--- {": "c.yaml",
		`train: {steps: "5"}`: `"5" is not a whole number`, `train: {steps: "${N:-five}"}`: `"five" is not`,
		"train: {steps: ${N:-5}}": "c.yaml",
		"data: {classes: [a, ~]}": "data.classes", "name: ~": "name", "optimizer: {lr: .nan}": "optimizer.lr",
		"optimizer: {betas: [0.9, .inf]}": "betas",
		"train: {<<: 3}":                  "<< takes a map", "train: {<<: [1]}": "<< takes a map",
		"train: {<<: {stepz: 3}}": "no key train.stepz", "train: {\"<<\": {steps: 3}}": "no key train.<<",
		"train: &t\n  <<: *t": "merges", bomb: "merges", "[a]: 1": "no key", "train: {steps: !x 3}": "train.steps",
		"train: {<<: {steps: 1}, <<: {seed: 1}}": "given twice",
	} {
		_, err := Load(write(t, text), []string{"data.kind=shapes"})
		if e, ok := uierr.As(err); !ok || e.Hint == "" || !strings.Contains(e.What, want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestNullReplaces: a list that a file leaves empty is empty, whatever it extends.
func TestNullReplaces(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"base.yaml": "data: {kind: shapes, classes: [a]}",
		"c.yaml": "extends: base.yaml\ndata: {classes: }"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := Load(filepath.Join(dir, "c.yaml"), nil); err != nil || len(r.Data.Classes) != 0 {
		t.Errorf("%v, %v", r.Data.Classes, err)
	}
}

// TestNames: a name is the name of a folder under runs/ and no way out of it.
func TestNames(t *testing.T) {
	for _, n := range []string{"../../evil", "..", ".", "/tmp/evil", "a/b", `a\b`, `..\x`, "C:x", "-rf", "a\nb",
		"a\x00", "a\x1b[2J", "con", "NUL.txt", "Com1", "x.", "x ", "a\xffb"} {
		_, err := Load(write(t, "data: {kind: shapes}"), []string{"name=" + n})
		if e, ok := uierr.As(err); !ok || e.Hint == "" || !strings.HasPrefix(e.What, "name: ") {
			t.Errorf("name %q: %v", n, err)
		}
	}
	for _, n := range []string{"cifar5", "my run", "Größe_2.5", "..a", "console", "a-b", "5"} {
		if r, err := Load(write(t, "data: {kind: shapes}"), []string{"name=" + n}); err != nil || r.Name != n {
			t.Errorf("name %q: %v", n, err)
		}
	}
	path := filepath.Join(t.TempDir(), "-x.yaml")
	if err := os.WriteFile(path, []byte("data: {kind: shapes}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := Load(path, nil); err != nil || r.Name != "run" {
		t.Errorf("a file's own name: %q, %v", r.Name, err)
	}
}

// TestStrays: a variable that is nearly a key's is told of, one that has a use
// is not.
func TestStrays(t *testing.T) {
	for _, v := range []string{"FLOPS_SHARED", "FLOPS_TEST_ANYTHING", "FLOPS_OWN", "FLOPS_TOKEN", "FLOPSY",
		"FLOPS_TRAIN_SEED"} {
		t.Setenv(v, "1")
	}
	t.Setenv("FLOPS_TRAIN_STEP", "10")
	t.Setenv("FLOPS_DEVICE", "cpu")
	t.Setenv("FLOPS_QQQQQQQQQQQQ", "")
	r, err := Load(write(t, `data: {kind: shapes, path: "${FLOPS_OWN}"}`), []string{"model.token_env=FLOPS_TOKEN"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"FLOPS_DEVICE sets no key; did you mean FLOPS_TRAIN_DEVICE?",
		"FLOPS_QQQQQQQQQQQQ sets no key; it is ignored",
		"FLOPS_TRAIN_STEP sets no key; did you mean FLOPS_TRAIN_STEPS?"}
	if !slices.Equal(r.Warnings, want) {
		t.Errorf("%q", r.Warnings)
	}
}

// TestVariablesAreDeclared: every FLOPS_ variable that the program, its scripts
// or its tests read is a key's or stands in Variables.
func TestVariablesAreDeclared(t *testing.T) {
	read := regexp.MustCompile(`(?:Getenv\("|LookupEnv\("|Env\w* += +"|\$\{?)(FLOPS_[A-Z0-9_]+)`)
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 {
			if err == nil {
				return filepath.SkipDir
			}
			return err
		}
		if !slices.Contains([]string{".go", ".sh", ".py", ".yaml"},
			filepath.Ext(path)) || filepath.Dir(path) == "../../internal/config" || strings.HasSuffix(path,
			".yaml") && strings.Contains(path, "runs") {
			return nil
		}
		raw, err := os.ReadFile(path)
		for _, m := range read.FindAllSubmatch(raw, -1) {
			v := string(m[1])
			if _, key := keyOf(v); !key && !slices.Contains(Variables, v) && !strings.HasPrefix(v, "FLOPS_TEST_") {
				t.Errorf("%s reads %s, which is not in Variables", path, v)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{"train: {steps: 1}", "data: {kind: shapes}\nsites: {kinds: [query]}", "a: &x [*x]",
		"train: {steps: 1e400}", "{", "extends: x", "- 1\n- 2",
		"train: {steps: 1}\n---\ntrain: {steps: 2}", "---\n...\n---\n", "train: {<<: {steps: 3}}",
		"train: &t\n  <<: [*t, *t]", "<<: [{train: {steps: 1}}]",
		"data: &a {classes: [&b x, *b]}\ntrain: {<<: *a}", "? [a]\n: b", "*a : b", "train: {steps: \"${N:-5}\"}",
		"name: !!binary aGk=", "data: {classes: [a, ~, [b]]}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := newReader().parse("f.yaml", []byte(text))
		if err != nil {
			if e, ok := uierr.As(err); !ok || e.What == "" || e.Hint == "" || bytes.ContainsAny([]byte(e.What),
				"\x00") && !strings.ContainsRune(text, 0) {
				t.Fatalf("%q: no mistake with a hint: %v", text, err)
			}
			return
		}
		for k := range m {
			if _, ok := find(k); !ok && !section(k) {
				t.Fatalf("took unknown key %q", k)
			}
		}
	})
}

func FuzzSet(f *testing.F) {
	for _, s := range hard {
		f.Add("data.path", s)
		f.Add("data.classes", s)
		f.Add("train.steps", s)
	}
	f.Fuzz(func(t *testing.T, key, s string) {
		k, ok := find(key)
		if !ok {
			return
		}
		x, err := newReader().text("--set "+key, k, s)
		if err != nil {
			if e, ok := uierr.As(err); !ok || e.Hint == "" {
				t.Fatalf("%s=%q: no mistake with a hint: %v", key, s, err)
			}
			return
		}
		if reflect.TypeOf(x) != k.typ {
			t.Fatalf("%s=%q: %T", key, s, x)
		}
		if k.typ.Kind() == reflect.String && !strings.Contains(s, "${") && x != s {
			t.Fatalf("%s=%q gives %q", key, s, x)
		}
	})
}
