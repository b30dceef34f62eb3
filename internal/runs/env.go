package runs

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
)

// Env is env.json: where the numbers of a run come from.
type Env struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	Kernel   string `json:"kernel"`
	Canary   string `json:"arithmetic,omitempty"` // checksum of what the kernels make of fixed numbers
	BF16     string `json:"bf16,omitempty"`       // of a run in bf16 on the processor: what of a query multiplies so
	Threads  int    `json:"threads"`
	Device   string `json:"device"`
	Seed     int64  `json:"seed"`
	Checksum string `json:"data_checksum"` // of the training split

	Data map[string]SplitSum `json:"data,omitempty"` // by split
	// Model is of the model that the run began with, and how it prepares images.
	Model string `json:"model_checksum,omitempty"`
	// Journal is the hash that journal.bin carries, once config.yaml was changed.
	Journal string   `json:"journal,omitempty"`
	Changes []Change `json:"changes,omitempty"` // made when the run was resumed
}

// SplitSum is a split of the data.
type SplitSum struct {
	Images   int    `json:"images"`
	Checksum string `json:"checksum"`
}

// Change is what a resumed run does otherwise from a step on.
type Change struct {
	Step int `json:"step"` // updates made before it
	config.Difference
}

// DataChanges says, a line for each split, how the data differs from an Env's.
func (e *Env) DataChanges(now Env) (out []string) {
	was := e.Data
	if len(was) == 0 && e.Checksum != "" { // of a version that kept no more
		was = map[string]SplitSum{data.Train: {now.Data[data.Train].Images, e.Checksum}}
	}
	for _, name := range []string{data.Train, data.Validation, data.Test} {
		a, had := was[name]
		b, has := now.Data[name]
		switch {
		case had && has && a.Images != b.Images:
			out = append(out, fmt.Sprintf("the %s split had %d images and has %d", name, a.Images, b.Images))
		case had && has && a.Checksum != b.Checksum:
			out = append(out, fmt.Sprintf("the %d images of the %s split, their names or classes are others (checksum %.12s, "+
				"now %.12s)", b.Images, name, a.Checksum, b.Checksum))
		case had && !has:
			out = append(out, fmt.Sprintf("the %s split of %d images is gone", name, a.Images))
		}
	}
	return out
}

// ReadEnv reads env.json; it is nil where there is none.
func ReadEnv(dir string) (e *Env, err error) {
	r := &Folder{}
	err = r.readJSON(filepath.Join(dir, "env.json"), &r.Env)
	return r.Env, err
}

// WriteLedger writes ledger.json.
func WriteLedger(disk fsys.FS, dir string, l *Ledger) error {
	return writeJSON(disk, filepath.Join(dir, "ledger.json"), l)
}

// WriteEnv writes env.json.
func WriteEnv(disk fsys.FS, dir string, e Env) error {
	return writeJSON(disk, filepath.Join(dir, "env.json"), e)
}

func writeJSON(disk fsys.FS, path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return fsys.WriteFile(disk, path, append(b, '\n'))
}

// RateSteps are the steps by which a run's rate fell before anything else was
// noted of it: those that it began with.
func (e *Env) RateSteps(c config.Config) int {
	if e != nil {
		for _, ch := range e.Changes {
			var n int
			if ch.Key == "train.steps" {
				if _, err := fmt.Sscan(ch.From, &n); err == nil {
					return n
				}
			}
		}
	}
	return c.Train.Steps
}
