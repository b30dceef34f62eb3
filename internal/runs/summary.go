package runs

import (
	"fmt"
	"strings"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/metric"
)

// Epoch adds up the steps of one epoch.
type Epoch struct {
	Steps    int     `json:"steps"`
	Loss     float64 `json:"loss"`
	Accuracy float64 `json:"accuracy"`
}

// Add adds a step.
func (e *Epoch) Add(m *StepMetrics) {
	e.Steps++
	e.Loss += m.Loss
	e.Accuracy += m.Accuracy
}

// Summary is summary.csv, one line per epoch.
type Summary struct {
	path   string
	f      fsys.File
	offset int64
	splits []string // that have columns: test always, whether it is there or not
	chosen []string // metrics
}

// OpenSummary opens the file and keeps its first bytes. It has columns of a
// validation split where there is one, and the chosen metrics' come last.
func OpenSummary(disk fsys.FS, path string, keep int64, validation bool, chosen []string) (*Summary, error) {
	f, err := disk.OpenAt(path, keep)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &Summary{path: path, f: f, offset: keep, splits: []string{data.Test}, chosen: chosen}
	if validation {
		s.splits = []string{data.Validation, data.Test}
	}
	if keep == 0 {
		err = s.write(s.head())
	}
	return s, err
}

// head names the columns.
func (s *Summary) head() string {
	head, more := "epoch,step,train_loss,train_accuracy", ""
	for _, name := range s.splits {
		head += fmt.Sprintf(",%s_top1,%s_loss", name, name)
		for _, tag := range metric.Tags(s.chosen) {
			more += "," + name + "_" + tag
		}
	}
	return head + ",queries" + more + "\n"
}

func (s *Summary) write(line string) error {
	n, err := s.f.Write([]byte(line))
	s.offset += int64(n)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	return nil
}

// Sync returns, when all is on the disk, the bytes that the file has.
func (s *Summary) Sync() (int64, error) { return s.offset, s.f.Sync() }

// Close closes the file.
func (s *Summary) Close() error { return s.f.Close() }

// End writes the line of an epoch after its last step m, with what the splits
// measured last, nil where that is nothing yet.
func (s *Summary) End(m *StepMetrics, e Epoch, validation, test *Eval) error {
	measured, more := "", ""
	for _, name := range s.splits {
		of := test
		if name == data.Validation {
			of = validation
		}
		measured += evalColumns(of)
		more += moreColumns(of, s.chosen)
	}
	n := float64(e.Steps)
	return s.write(fmt.Sprintf("%d,%d,%.6f,%.4f%s,%d%s\n",
		m.Epoch, m.Step, e.Loss/n, e.Accuracy/n, measured, m.Queries, more))
}

// evalColumns are the two columns of a split, empty before it was measured.
func evalColumns(e *Eval) string {
	if e == nil {
		return ",,"
	}
	return fmt.Sprintf(",%.4f,%.6f", e.Score(), e.Loss())
}

// moreColumns are those of the chosen metrics, empty before they were measured.
func moreColumns(e *Eval, chosen []string) string {
	if e == nil {
		return strings.Repeat(",", len(metric.Tags(chosen)))
	}
	out := ""
	for _, o := range e.Chosen.Ones() {
		out += fmt.Sprintf(",%.6f", o.Value)
	}
	return out
}
