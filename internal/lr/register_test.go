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
