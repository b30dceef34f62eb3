package compare

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/metric"
)

// TestMeasures: every number that some run has is a column, once; an arm that was
// not measured by it has none.
func TestMeasures(t *testing.T) {
	ece := func(v float64) metric.Values { return metric.Values{{Name: "ece", Numbers: []float64{v}}} }
	recall := metric.Values{{Name: "image_to_text", Numbers: []float64{1, 2, 3}}}
	arms := Summarise([]Arm{{Name: "a"}, {Name: "b"}, {Name: "c"}}, [][]Result{{{}, {}},
		{{Metrics: ece(0.25)}, {Metrics: ece(0.75), ValidationMetrics: recall}}, {{Metrics: ece(0.5)}, {}}})
	var tags []string
	for _, o := range MeasuresOf(arms) {
		tags = append(tags, o.Tag)
	}
	if want := []string{"ece", "image_to_text_1", "image_to_text_5", "image_to_text_10"}; !slices.Equal(tags, want) {
		t.Error(tags)
	}
	if m := arms[1].Measured("ece"); m.Value != 0.5 || !(m.Half > 0) {
		t.Errorf("%+v", m)
	}
	if a, c := arms[0].Measured("ece"), arms[2].Measured("ece"); !math.IsNaN(a.Value) || !math.IsNaN(c.Value) {
		t.Errorf("a mean of what was not measured: %+v, %+v", a, c)
	}
}

// TestSameOfAnotherVersion: the runs of a comparison that a version without some
// key began go on; those of another experiment are refused by the key.
func TestSameOfAnotherVersion(t *testing.T) {
	base := config.Origin()
	base.Name, base.Data.Kind = "a", "shapes"
	p := &Plan{Options: Options{Dir: t.TempDir(), Seeds: 1}, Base: base,
		Arms: []Arm{{Name: "a"}}, Configs: []config.Config{base}}
	r := p.Runs()[0]
	raw, err := config.Marshal(p.ConfigOf(r))
	if err != nil {
		t.Fatal(err)
	}
	old := bytes.Replace(raw, []byte("    metrics: []\n"), nil, 1)
	if len(old) == len(raw) {
		t.Fatal("there is no such line")
	}
	path := filepath.Join(p.Dir, r.Name, "config.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, old, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.same(r); err != nil {
		t.Error(err)
	}
	p.Configs[0].Train.BatchSize = 7
	if err := p.same(r); err == nil || !strings.Contains(err.Error(), "train.batch_size is 64 there, and 7 here") {
		t.Errorf("%v", err)
	}
}
