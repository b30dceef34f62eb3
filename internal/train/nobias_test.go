package train

import (
	"context"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/safetensors"
)

// noBias is a model folder with qkv_bias: false, of the sizes of tiny.
func noBias(t *testing.T) string {
	t.Helper()
	l, err := network.NewLocal(tiny().Model.Arch, []string{"a", "b"}, network.Tokens{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	m := l.Model()
	m.Config.QKVBias = false
	var kept []safetensors.Tensor
	for _, x := range m.Tensors {
		if !(strings.Contains(x.Name, ".attention.attention.") && strings.HasSuffix(x.Name, ".bias")) {
			kept = append(kept, x)
		}
	}
	if m.Tensors = kept; len(kept) != len(l.Weights.Params())-6 {
		t.Fatalf("%d tensors left", len(kept))
	}
	dir := t.TempDir()
	if err := hf.Save(fsys.OS, dir, m, safetensors.F32); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestNoBias trains a model whose query, key and value have no bias by every
// estimator and schedule: the run ends, its journal replays to the same bits, and
// what it saves is again a model without these biases.
func TestNoBias(t *testing.T) {
	dir := noBias(t)
	runs := map[string]config.Config{}
	for _, name := range []string{"activation per_site", "activation joint", "activation random_site", "weight all",
		"weight tensor", "bp"} {
		c := tiny()
		c.Model.Path, c.Train.Steps = dir, 6
		c.Estimator.Name, c.Estimator.Schedule, _ = strings.Cut(name, " ")
		c.Estimator.Own = lr.LearnSigma.With(c.Estimator.Own, c.Estimator.Name == "activation")
		runs[name] = c
	}
	c := runs["activation joint"]
	c.Estimator.StructuralMask, c.Estimator.Antithetic = false, false
	runs["activation joint, one-sided, no mask"] = c
	for name, c := range runs {
		t.Run(name, func(t *testing.T) {
			x := open(t, c)
			got := t.TempDir()
			if _, err := Run(context.Background(), x, RunOptions{Dir: got, Watch: &quiet{}}); err != nil {
				t.Fatal(err)
			}
			moved := 0
			before, err := network.LoadLocal(dir, x.TrainData.Classes(), network.Tokens{}, uint64(c.Train.Seed))
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range x.Model.Params() {
				if strings.Contains(p.Name, "attention.attention.query.") && p.Data[0] != before.Weights.Params()[i].Data[0] {
					moved++
				}
			}
			if moved == 0 && c.Estimator.Schedule != "random_site" { // which may draw others
				t.Error("no query weight was trained")
			}
			if m := finiteCheckpoint(t, got).Model; m.Config.QKVBias || len(m.Tensors) != len(x.Model.Params()) {
				t.Errorf("saved with qkv_bias %v and %d tensors", m.Config.QKVBias, len(m.Tensors))
			}
			r, err := Replay(context.Background(), open(t, c), got, c.Train.Steps)
			if err != nil {
				t.Fatal(err)
			}
			weights(t, r, got)
		})
	}
}
