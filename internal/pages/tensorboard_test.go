package pages

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/runs"
)

// deaf is a watcher that hears nothing.
type deaf struct{}

func (deaf) Begins(int)                         {}
func (deaf) Stepped(*runs.StepMetrics, float64) {}
func (deaf) Evaluated(int, string, *runs.Eval)  {}
func (deaf) Saved(int, string)                  {}
func (deaf) Warned(string)                      {}

// A file that cannot be written is said once, and the run goes on.
func TestTensorBoardFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tb"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	said := 0
	b := OpenTensorBoard(dir, true, config.Config{}, func(string) { said++ }, deaf{})
	b.Stepped(&runs.StepMetrics{Step: 1}, 1)
	b.Evaluated(1, "test", &runs.Eval{})
	b.Close()
	if said != 1 {
		t.Errorf("%d warnings, want 1", said)
	}
}

// The numbers of a step and of an evaluation are in the file, in whole records.
func TestTensorBoardRecords(t *testing.T) {
	dir := t.TempDir()
	c := config.Origin()
	c.Optimizer.LR = 0.5
	b := OpenTensorBoard(dir, true, c, func(s string) { t.Error(s) }, deaf{})
	b.Begins(0)
	b.Stepped(&runs.StepMetrics{Step: 3, Loss: 1.5, MaxShare: 4, Alloc: []float64{1, 2}}, 10)
	b.Evaluated(3, "test", &runs.Eval{Goal: metric.Top1,
		Values: metric.Values{{Name: metric.Top1, Numbers: []float64{0.5}}}})
	b.Close()
	files, err := filepath.Glob(filepath.Join(dir, "tb", "events.out.tfevents.*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var records [][]byte
	for rest := raw; len(rest) > 0; {
		n := binary.LittleEndian.Uint64(rest)
		records = append(records, rest[12:12+n])
		rest = rest[16+n:]
	}
	for _, tag := range []string{"train/loss", "train/learning_rate", "queries/total", "allocation/most", "allocation/w1",
		"test/accuracy", "optimizer.lr"} {
		found := false
		for _, r := range records {
			found = found || bytes.Contains(r, []byte(tag))
		}
		if !found {
			t.Errorf("no record of %s", tag)
		}
	}
}
