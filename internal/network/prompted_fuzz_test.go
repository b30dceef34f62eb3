package network

import (
	"context"
	"testing"

	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/remote"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/testkit"
)

// mute is a model of three classes that is called and says nothing.
type mute struct{}

func (mute) Spec() oip.Spec {
	return oip.Spec{Name: "mute", Channels: 3, Height: 8, Width: 8, Classes: 3, MaxBatch: 4}
}

func (mute) Call(context.Context, []float32, int, []float32) error { return nil }

func (mute) Close() error { return nil }

// FuzzPrompted: whatever the metadata of a saved prompt say, it is put in front of its
// model or refused with an error, and takes no memory on their word.
func FuzzPrompted(f *testing.F) {
	f.Add("over", "1", "", `["a","b"]`, `[0.5,0.5,0.5]`, `[1,1,1]`, 28)
	f.Add("around", "4611686018427387905", "0", `["a","b"]`, `[]`, `[]`, 28)
	f.Add("over", "-1", "x", `null`, `null`, `{}`, 0)
	f.Add("coordinator", "4", "9223372036854775807", `["a","b"]`, `[1]`, `[0]`, 12)
	f.Add("", "", "", "", "", "", 1)
	f.Fuzz(func(t *testing.T, mode, width, count, classes, mean, std string, n int) {
		if n < 0 || n > 1<<12 {
			return
		}
		saved := hf.NewPrompt([]safetensors.Tensor{
			{Name: "prompt.frame", Shape: []int{3, n}, Data: testkit.Fill(3*n, 1)},
			{Name: mapWeight, Shape: []int{2, 3}, Data: testkit.Fill(6, 2)},
			{Name: mapBias, Shape: []int{2}, Data: testkit.Fill(2, 3)},
		}, map[string]string{metaMode: mode, metaWidth: width, metaCount: count, metaClasses: classes,
			metaMean: mean, metaStd: std})
		var got *Trained
		var err error
		used := testkit.Allocated(func() { got, err = behind(saved, mute{}, remote.Policy{InFlight: 1, MaxBatch: 1}) })
		if used > 1<<29 {
			t.Fatalf("%d bytes for a prompt of %d numbers", used, n)
		}
		if err == nil && len(got.Labels) != 2 {
			t.Fatalf("%q became %d classes", classes, len(got.Labels))
		}
	})
}
