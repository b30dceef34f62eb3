package cuda_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/cuda"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/noise"
)

// host makes --device cuda mean the kernels compiled for the host.
func host(t *testing.T) (launches *int) {
	launches = cuda.OpenHost(t)
	was := device.Register("cuda", device.Kind{})
	there := was
	there.Available = func() (bool, string) { return true, "" }
	device.Register("cuda", there)
	t.Cleanup(func() { device.Register("cuda", was) })
	return launches
}

// TestCommandsReachTheDevice: a model that a command opens by train.device, and
// an experiment, are answered by the device's kernels, as on the processor up to
// the order of sums.
func TestCommandsReachTheDevice(t *testing.T) {
	launches := host(t)
	ctx := context.Background()
	c := config.Origin()
	c.Model.Arch = config.Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 8, Layers: 2, Heads: 2, MLP: 16}
	l, err := network.NewLocal(c.Model.Arch, []string{"a", "b", "c"}, network.Tokens{}, 5)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := hf.Save(fsys.OS, dir, l.Model(), safetensors.F32); err != nil {
		t.Fatal(err)
	}
	b := &forward.Batch{Size: 5, Inputs: make([]float32, 5*192), Labels: []int32{0, 1, 2, 1, 0},
		Index: make([]int32, 5)}
	g := noise.Rand(2, noise.Test)
	for i := range b.Inputs {
		b.Inputs[i] = float32(g.Normal())
	}
	var logits, features [2][]float32
	for i, spec := range []string{"cpu", "cuda:1"} {
		c.Train.Device, *launches = spec, 0
		m, err := network.Open(ctx, dir, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := m.Model.Evaluate(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if logits[i], features[i] = out.Logits, out.Features; (*launches > 0) != (i == 1) {
			t.Errorf("device %s ran %d kernels", spec, *launches)
		}
		if where := m.Model.Device(); !strings.HasPrefix(where, spec) {
			t.Errorf("device %s says that it is %q", spec, where)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, v := range [][2][]float32{logits, features} {
		for i := range v[0] {
			if d := math.Abs(float64(v[0][i] - v[1][i])); !(d <= 1e-4*(1+math.Abs(float64(v[0][i])))) {
				t.Errorf("value %d: %v on the processor, %v on the device", i, v[0][i], v[1][i])
			}
		}
	}

	c.Data = config.Data{Kind: "shapes", Train: "train", Test: "test", OnBad: "refuse", Count: 24, TestCount: 8, Size: 8, Workers: 1}
	c.Sites.Blocks, c.Budget.QueriesPerImage, c.Train.BatchSize = "all", 2, 4
	c.Train.Device, *launches = "cuda", 0
	x, err := train.Open(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if d := x.Describe("test").Device; !strings.HasPrefix(d, "cuda, host with own kernels") {
		t.Errorf("env.json would say device %q", d)
	}
	if _, err := train.NewTrainer(x).TakeStep(ctx, 8); err != nil || *launches == 0 {
		t.Errorf("a step ran %d kernels: %v", *launches, err)
	}
}
