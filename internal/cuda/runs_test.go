package cuda_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/cuda"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/train"
)

// measuredRun is a run as one line of JSON.
type measuredRun struct {
	Mode      string  `json:"mode"`
	Precision string  `json:"precision"`
	Open      float64 `json:"open_seconds"`  // until everything is opened
	Start     float64 `json:"start_seconds"` // until the first step is done
	Seconds   float64 `json:"seconds"`       // a step after that
	PerSecond float64 `json:"queries_per_s"`
	Kernels   float64 `json:"kernel_seconds"` // of a step
	Loss      float64 `json:"loss"`           // of the last step
	CPU       float64 `json:"cpu_loss,omitempty"`
}

// runConfig is a run on images that it draws itself.
func runConfig(device, precision, kind string) (config.Config, int) {
	c := config.Origin()
	c.Data = config.Data{Kind: "shapes", Train: "train", Test: "test", OnBad: "refuse", Count: 32, TestCount: 8, Size: 16,
		Workers: 8}
	c.Model.Arch = config.Arch{Image: 16, Patch: 8, Chans: 3, Hidden: 32, Layers: 2, Heads: 1, MLP: 64}
	c.Train.Device, c.Train.Precision, c.Train.BatchSize = device, precision, 4
	c.Budget.QueriesPerImage, c.Estimator.Sigma = 4, 0.01
	c.Sites.Blocks, c.Sites.Kinds = "last-1", []string{"query", "key", "value", "attn_out"}
	switch kind {
	case "all blocks":
		c.Sites.Blocks = "all"
	case "weight":
		c.Sites.Blocks, c.Estimator.Name = "all", "weight"
	case "local": // one query an image at the outputs of all blocks
		c.Sites.Blocks, c.Sites.Kinds, c.Sites.PatchEmbed = "all", []string{"residual"}, true
		c.Budget.QueriesPerImage, c.Estimator.Antithetic, c.Estimator.Sigma = 1, false, 0.003
		c.Estimator.Own = lr.FeedbackGain.With(lr.Surrogate.With(c.Estimator.Own, "local"), 0.3)
		c.Allocator.Name, c.Allocator.MinQueries = "uniform", 1
		c.Optimizer.Name, c.Optimizer.LR = "muon", 3e-3
	}
	return c, 8
}

// TestRuns takes whole steps of training, with the loader, the allocator and the
// optimizer: of the last block, of all blocks and of all weights; and compares a
// small run with the processor's. FLOPS_BENCH=vit-b16 takes them at ViT-B/16.
func TestRuns(t *testing.T) {
	device := runDevice(t)
	same(t, device, "last block", "the processor's")
	for _, c := range []struct {
		kind, precision string
		steps           int // where they are measured
	}{{"last block", "bf16", 12}, {"weight", "bf16", 8}, {"all blocks", "bf16", 1}, {"last block", "fp32", 8},
		{"weight", "fp32", 3}} {
		if c.precision == "bf16" || os.Getenv("FLOPS_BENCH") != "" {
			runCase(t, device, c.precision, c.kind, c.steps)
		}
	}
}

// TestLocalRuns is TestRuns of local feedback at the outputs of all blocks, in every
// precision.
func TestLocalRuns(t *testing.T) {
	device := runDevice(t)
	same(t, device, "local", "the processor's, local")
	for _, precision := range []string{"bf16", "tf32", "fp32"} {
		if precision == "bf16" || os.Getenv("FLOPS_BENCH") != "" {
			runCase(t, device, precision, "local", 3)
		}
	}
}

// runDevice is the device of a run: the host's, or a GPU.
func runDevice(t *testing.T) string {
	if device := os.Getenv("FLOPS_TEST_DEVICE"); device != "" {
		return device
	}
	host(t)
	return "cuda"
}

// same trains a small network for some steps on the device and on the processor.
func same(t *testing.T, device, kind, mode string) {
	var loss [2]float64
	for i, d := range []string{"cpu", device} {
		c, _ := runConfig(d, "fp32", kind)
		loss[i] = steps(t, c, 9, nil).Loss
	}
	show(t, measuredRun{Mode: mode, Precision: "fp32", Loss: loss[1], CPU: loss[0]})
	if d := math.Abs(loss[0] - loss[1]); !(d <= 1e-3*loss[0]) {
		t.Errorf("%s: after 10 steps the loss is %v on the device, %v on the processor", kind, loss[1], loss[0])
	}
}

func runCase(t *testing.T, device, precision, kind string, measured int) {
	c, _ := runConfig(device, precision, kind)
	n := 1
	if os.Getenv("FLOPS_BENCH") == "vit-b16" {
		c.Data.Size, c.Data.Count, c.Train.BatchSize = 224, 128, 64
		if kind != "local" {
			c.Budget.QueriesPerImage = 8
		}
		c.Model.Arch = config.Arch{Image: 224, Patch: 16, Chans: 3, Hidden: 768, Layers: 12, Heads: 12, MLP: 3072}
		n = measured
	}
	r := measuredRun{Mode: kind, Precision: precision}
	out := steps(t, c, n, &r)
	r.Loss = out.Loss
	show(t, r)
}

// steps trains for n steps after the first; r takes the times, and of one step more
// those of its kernels.
func steps(t *testing.T, c config.Config, n int, r *measuredRun) measuredRun {
	t.Helper()
	ctx := context.Background()
	began := time.Now()
	x, err := train.Open(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	opened := time.Since(began)
	trainer := train.NewTrainer(x)
	var out measuredRun
	step := func() int64 {
		before := trainer.Ledger.Total().Queries
		m, err := trainer.TakeStep(ctx, c.PassQueries())
		if err != nil {
			t.Fatal(err)
		}
		out.Loss = m.Loss
		return trainer.Ledger.Total().Queries - before - int64(c.Train.BatchSize) // less the clean pass
	}
	step()
	start := time.Since(began)
	if n > 1 {
		step() // from here on what is kept of every image is there
	}
	began = time.Now()
	var asked int64
	for range n {
		asked += step()
	}
	if r == nil {
		return out
	}
	r.Open = opened.Seconds()
	r.Start, r.Seconds = start.Seconds(), time.Since(began).Seconds()/float64(n)
	r.PerSecond = float64(asked) / float64(n) / r.Seconds
	kernels := cuda.Clock(x.Model.(*cuda.Model))
	step()
	if r.Kernels = kernels().Seconds(); r.Kernels == 0 {
		t.Error("a step ran no kernel")
	}
	return out
}

func show(t *testing.T, r measuredRun) {
	if os.Getenv("FLOPS_BENCH") == "" {
		return
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s\n", text)
}
