package network

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/safetensors"
)

func TestMatchClasses(t *testing.T) {
	numbers := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"}
	for _, c := range []struct {
		classes, model string // with | between
		want           []int32
		wrong          string
	}{
		{"a|b|c", "a|b|c", []int32{0, 1, 2}, ""},
		{"c|a|b", "a|b|c", []int32{2, 0, 1}, ""},
		{"0|1|10|11|2|3|4|5|6|7|8|9", strings.Join(numbers, "|"), []int32{0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9}, ""},
		{"b", "a|b|c", []int32{1}, ""},
		{"caf\u00e9|a", "a|cafe\u0301", []int32{1, 0}, ""}, // composed and not
		{"crane|crane", "crane|crane", []int32{0, 1}, ""},  // ImageNet's, untouched
		{"a|crane", "crane|a|crane", nil, `"crane"`},
		{"A", "a|b", nil, `"A"`},
		{"a ", "a|b", nil, `"a "`},
		{"a|d", "a|b|c", nil, `"d"`},
	} {
		at, wrong := MatchClasses(strings.Split(c.classes, "|"), nil, strings.Split(c.model, "|"))
		if !slices.Equal(at, c.want) || !strings.Contains(wrong, c.wrong) || (c.wrong == "") != (wrong == "") {
			t.Errorf("%s in %s: %v %q", c.classes, c.model, at, wrong)
		}
	}
}

// TestClassWithoutImages need not be the model's.
func TestClassWithoutImages(t *testing.T) {
	at, wrong := MatchClasses([]string{"b", "d"}, []int{3, 0}, []string{"a", "b"})
	if !slices.Equal(at, []int32{1, 0}) || wrong != "" {
		t.Errorf("%v %q", at, wrong)
	}
}

// TestHeadFollowsTheDatasOrder: the rows of a classifier go with their names.
func TestHeadFollowsTheDatasOrder(t *testing.T) {
	labels := []string{"zebra", "ant", "bee"}
	l, err := NewLocal(config.Arch{Image: 16, Patch: 8, Chans: 3, Hidden: 16, Layers: 1, Heads: 2, MLP: 16}, labels, Tokens{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	l.Config.ProblemType = hf.MultiLabel
	for _, p := range l.Weights.Params() {
		if p.Name == "classifier.bias" {
			copy(p.Data, []float32{1, 2, 3})
		}
	}
	dir := t.TempDir()
	if err := hf.Save(fsys.OS, dir, l.Model(), safetensors.F32); err != nil {
		t.Fatal(err)
	}
	row := func(l *Local, name string) []float32 {
		i := slices.Index(l.Config.Labels, name)
		for _, p := range l.Weights.Params() {
			if p.Name == "classifier.weight" {
				return p.Data[16*i : 16*(i+1)]
			}
		}
		return nil
	}
	sorted, err := LoadLocal(dir, []string{"ant", "bee", "zebra"}, Tokens{}, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range labels {
		if sorted.NewHead || !slices.Equal(row(sorted, name), row(l, name)) {
			t.Errorf("%s: another row, new head %v", name, sorted.NewHead)
		}
	}
	for _, p := range sorted.Weights.Params() {
		if p.Name == "classifier.bias" && !slices.Equal(p.Data, []float32{2, 3, 1}) {
			t.Errorf("bias %v", p.Data)
		}
	}
	if !strings.Contains(sorted.Head, "order") || sorted.Config.ProblemType != "" {
		t.Errorf("%q, problem_type %q", sorted.Head, sorted.Config.ProblemType)
	}
	for classes, says := range map[string]string{"ant|bee": "2 of them", "ant|bee|cat": `"cat"`} {
		fresh, err := LoadLocal(dir, strings.Split(classes, "|"), Tokens{}, 7)
		if err != nil || !fresh.NewHead || !strings.Contains(fresh.Head, says) {
			t.Errorf("%s: %v %+v", classes, err, fresh)
		}
	}
	same, err := LoadLocal(dir, nil, Tokens{}, 7)
	if err != nil || same.NewHead || same.Config.ProblemType != hf.MultiLabel {
		t.Errorf("%v %+v", err, same)
	}
}

// TestScores: what transformers' pipeline makes of logits.
func TestScores(t *testing.T) {
	logits := []float32{-0.09112, 1.52108, 2.63007}
	for kind, want := range map[string][]float64{
		"":                            {0.04717, 0.23649, 0.71634},
		"single_label_classification": {0.04717, 0.23649, 0.71634},
		hf.MultiLabel:                 {0.47724, 0.8207, 0.93277},
		hf.Regression:                 {-0.09112, 1.52108, 2.63007},
	} {
		m := &Trained{Labels: []string{"a", "b", "c"}, Local: &Local{Config: &hf.Config{ProblemType: kind}}}
		for i, v := range m.Scores(logits) {
			if math.Abs(float64(v)-want[i]) > 2e-4 {
				t.Errorf("%q: class %d has %v, not %v", kind, i, v, want[i])
			}
		}
		if refused := m.OneClass("m") != nil; refused != (kind == hf.MultiLabel || kind == hf.Regression) {
			t.Errorf("%q: refused for accuracy: %v", kind, refused)
		}
	}
	one := &Trained{Labels: []string{"a"}, Local: &Local{Config: &hf.Config{}}}
	if v := one.Scores([]float32{1.52108}); math.Abs(float64(v[0])-0.8207) > 1e-4 || one.OneClass("m") == nil {
		t.Errorf("one output: %v", v)
	}
}
