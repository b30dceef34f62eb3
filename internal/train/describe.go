package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/runs"
)

// Describe fills an Env for an experiment, which means reading its data, the first time.
func (x *Experiment) Describe(version string) runs.Env {
	if x.sums == nil {
		x.sums = map[string]runs.SplitSum{data.Train: {Images: x.TrainData.Len(), Checksum: data.Checksum(x.TrainData)}}
		for _, s := range x.Splits() {
			x.sums[s.Name] = runs.SplitSum{Images: s.whole.Len(), Checksum: data.Checksum(s.whole)}
		}
	}
	return runs.Env{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: runs.CPUName(),
		Cores: runtime.NumCPU(), Kernel: x.kernels(), Canary: Canary(), BF16: x.form(),
		Threads: Threads(x.Config), Device: x.Model.Device(), Seed: x.Config.Train.Seed,
		Checksum: x.sums[data.Train].Checksum, Data: maps.Clone(x.sums), Model: x.modelSum()}
}

// kernels are what multiplies matrices here.
func (x *Experiment) kernels() string {
	if x.Rounded().Maps == 0 {
		return kernel.Describe()
	}
	return kernel.Describe() + ", bf16 on " + kernel.DescribeHalf()
}

// arithmetic names what the bits of a forward depend on beside the network and its
// images; of bf16 they are the same on every kernel.
func (x *Experiment) arithmetic() string {
	s := x.Model.Device() + ", " + kernel.Describe()
	if r := x.Rounded(); r.Maps > 0 {
		s += fmt.Sprintf(", %d of %d maps in bf16", r.Maps, r.Of)
	}
	return s
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
		if x.begun != nil { // with the adapter that it begins with
			if v := x.adapters.Merged(t.Name, nil); v != nil {
				t.Data = v
			}
		}
		fmt.Fprintf(h, "%s %v\n", t.Name, t.Shape)
		_ = binary.Write(h, binary.LittleEndian, t.Data) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}
