package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/kernel"
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
	Threads  int    `json:"threads"`
	Device   string `json:"device"`
	Seed     int64  `json:"seed"`
	Checksum string `json:"data_checksum"` // of the training split

	Data    map[string]SplitSum `json:"data,omitempty"`           // by split
	Model   string              `json:"model_checksum,omitempty"` // of the model that the run began with, and how it prepares images
	Journal string              `json:"journal,omitempty"`        // hash that journal.bin carries, once config.yaml was changed
	Changes []Change            `json:"changes,omitempty"`        // made when the run was resumed
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

// Describe fills an Env for an experiment, which means reading its data.
func (x *Experiment) Describe(version string) Env {
	all := map[string]SplitSum{data.Train: {x.TrainData.Len(), data.Checksum(x.TrainData)}}
	for _, s := range x.Splits() {
		all[s.Name] = SplitSum{s.whole.Len(), data.Checksum(s.whole)}
	}
	checksum := all[data.Train].Checksum
	return Env{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuName(), Cores: runtime.NumCPU(),
		Kernel: kernel.Describe(), Threads: Threads(x.Config), Device: x.Model.Device(), Seed: x.Config.Train.Seed, Checksum: checksum,
		Data: all, Model: x.modelSum()}
}

// dataChanges says, a line for each split, how the data differs from an Env's.
func (e *Env) dataChanges(now Env) (out []string) {
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
			out = append(out, fmt.Sprintf("the %d images of the %s split, their names or classes are others (checksum %.12s, now %.12s)", b.Images, name, a.Checksum, b.Checksum))
		case had && !has:
			out = append(out, fmt.Sprintf("the %s split of %d images is gone", name, a.Images))
		}
	}
	return out
}

// modelSum names the model that a run begins with, and how it prepares images;
// empty where it has none to begin with.
func (x *Experiment) modelSum() string {
	if x.Local == nil || x.Config.Model.Path == "" {
		return ""
	}
	h := sha256.New()
	pre, _ := json.Marshal(x.Local.Pre) // of numbers and names it cannot fail
	h.Write(pre)
	for _, t := range x.Local.Model().Tensors {
		fmt.Fprintf(h, "%s %v\n", t.Name, t.Shape)
		_ = binary.Write(h, binary.LittleEndian, t.Data) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ReadEnv reads env.json; it is nil where there is none.
func ReadEnv(dir string) (e *Env, err error) {
	r := &RunData{}
	err = r.readJSON(filepath.Join(dir, "env.json"), &r.Env)
	return r.Env, err
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
