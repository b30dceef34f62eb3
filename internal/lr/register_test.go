package lr_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/query"
)

// TestNewEstimator: an estimator that registers, with a schedule of its own, is
// taken by validation, the schema and completion at once.
func TestNewEstimator(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.yaml")
	text := "data: {kind: shapes}\nestimator: {name: mirror, schedule: twice}\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path, nil); err == nil {
		t.Fatal("an estimator that is not there was taken")
	}
	mirror := lr.Register("mirror", func(query.Model, lr.Options) (lr.Estimator, error) { return nil, nil },
		"once", "twice")
	t.Cleanup(mirror.Forget)
	if _, err := config.Load(path, nil); err != nil {
		t.Error(err)
	}
	_, err := config.Load(path, []string{"estimator.schedule=joint"})
	if err == nil || !strings.Contains(err.Error(), "is no schedule of the mirror estimator") {
		t.Errorf("a schedule of another: %v", err)
	}
	if _, err := config.Load(path, []string{"estimator.name=activation"}); err == nil {
		t.Error("activation took the schedule of another")
	}
	if b, err := config.Schema(); err != nil || !bytes.Contains(b, []byte(`"mirror"`)) || !bytes.Contains(b,
		[]byte(`"twice"`)) {
		t.Errorf("the schema does not know it: %v", err)
	}
}

// TestSilentEstimator: what holds of bp holds of every estimator that says that it asks
// no queries, and what holds of others holds of one that does not say so.
func TestSilentEstimator(t *testing.T) {
	build := func(query.Model, lr.Options) (lr.Estimator, error) { return nil, nil }
	t.Cleanup(lr.Register("exact", build).Is(lr.Silent).Forget)
	t.Cleanup(lr.Register("asking", build).Forget)
	path := filepath.Join(t.TempDir(), "own.yaml")
	load := func(text string) error {
		if err := os.WriteFile(path, []byte("data: {kind: shapes}\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(path, nil)
		return err
	}
	for _, c := range []struct{ settings, says string }{
		{"allocator: {min_queries: 3}", "queries that every image gets"},
		{"budget: {max_queries: 1}", "max_queries"},
		{"", ""},
	} {
		if err := load("estimator: {name: exact}\n" + c.settings); err != nil {
			t.Errorf("one that asks nothing, %s: %v", c.settings, err)
		}
		err := load("estimator: {name: asking}\n" + c.settings)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("one that asks, %s: %v", c.settings, err)
		}
	}
	if err := load("estimator: {name: exact}\nobjective: {kind: accuracy}"); err == nil {
		t.Error("one that asks nothing took an objective without a gradient")
	}
}
