package train

import (
	"fmt"
	"strings"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/metric"
)

// epochSums adds up the steps of one epoch.
type epochSums struct {
	Steps    int     `json:"steps"`
	Loss     float64 `json:"loss"`
	Accuracy float64 `json:"accuracy"`
}

func (e *epochSums) add(m *StepMetrics) {
	e.Steps++
	e.Loss += m.Loss
	e.Accuracy += m.Accuracy
}

// summary is summary.csv, one line per epoch.
type summary struct {
	path   string
	f      fsys.File
	offset int64
}

// summaryHead names the columns; those of a validation split are there where it
// is, and those of chosen metrics come last.
func summaryHead(splits []*Split, chosen []string) string {
	head, more := "epoch,step,train_loss,train_accuracy", ""
	for _, name := range summarised(splits) {
		head += fmt.Sprintf(",%s_top1,%s_loss", name, name)
		for _, tag := range metric.Tags(chosen) {
			more += "," + name + "_" + tag
		}
	}
	return head + ",queries" + more + "\n"
}

// summarised are the splits that have columns: test always, whether it is there or
// not.
func summarised(splits []*Split) []string {
	if splits[0].Name == data.Validation {
		return []string{data.Validation, data.Test}
	}
	return []string{data.Test}
}

// openSummary opens the file and keeps its first bytes.
func openSummary(disk fsys.FS, path string, keep int64, head string) (*summary, error) {
	f, err := disk.OpenAt(path, keep)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &summary{path: path, f: f, offset: keep}
	if keep == 0 {
		err = s.write(head)
	}
	return s, err
}

func (s *summary) write(line string) error {
	n, err := s.f.Write([]byte(line))
	s.offset += int64(n)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	return nil
}

func (s *summary) sync() (int64, error) { return s.offset, s.f.Sync() }

// Close closes the file.
func (s *summary) Close() error { return s.f.Close() }

// endEpoch writes the epoch's line after its last step.
func (r *run) endEpoch(m *StepMetrics) error {
	last := m.Step == r.t.X.Config.Train.Steps
	if !last && r.t.X.Loader.Epoch(m.Step) == m.Epoch {
		return nil
	}
	e, n := r.state.Epoch, float64(r.state.Epoch.Steps)
	r.state.Epoch = epochSums{}
	measured, more := "", ""
	for _, name := range summarised(r.t.X.Splits()) {
		e := r.state.LastEval
		if name == data.Validation {
			e = r.state.LastValidation
		}
		measured += evalColumns(e)
		more += moreColumns(e, r.t.X.Config.Train.Metrics)
	}
	return r.summary.write(fmt.Sprintf("%d,%d,%.6f,%.4f%s,%d%s\n",
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
		out += fmt.Sprintf(",%.6f", o.V)
	}
	return out
}
