package vit

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/jpegrgb"
)

// sharedDir is the folder of real data, or a skip that says so.
func sharedDir(t testing.TB) string {
	dir := os.Getenv("FLOPS_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	if _, err := os.Stat(filepath.Join(dir, "models/vit-cifar5")); err != nil {
		t.Skipf("no pretrained model under %s (set FLOPS_SHARED)", dir)
	}
	return dir
}

// loadRaw reads F32 tensors, independently of the checkpoint package.
func loadRaw(t testing.TB, path string, w *Weights) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(b)
	var h map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(b[8:8+n], &h); err != nil {
		t.Fatal(err)
	}
	for _, p := range w.params {
		o, ok := h[p.Name]
		if !ok || o.Offsets[1]-o.Offsets[0] != 4*len(p.Data) {
			t.Fatalf("%s: in the file %v, %v", p.Name, ok, o)
		}
		for i := range p.Data {
			p.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[8+int(n)+o.Offsets[0]+4*i:]))
		}
	}
}

type reference struct {
	Images []struct {
		Path   string
		Label  int32
		Logits []float32
		Loss   float32
	}
	Gradients map[string]struct {
		Norm, Sum float64
		First5    []float64 `json:"first"`
	}
}

// cifar5 is the pretrained network and the reference batch.
func cifar5(t testing.TB) (*Net, *forward.Batch, reference) {
	dir := sharedDir(t)
	w, err := NewWeights(Arch{Image: 32, Patch: 4, Chans: 3, Hidden: 128, Layers: 6, Heads: 4, MLP: 512,
		Classes: 5, Eps: 1e-12})
	if err != nil {
		t.Fatal(err)
	}
	loadRaw(t, filepath.Join(dir, "models/vit-cifar5/model.safetensors"), w)
	var ref reference
	raw, err := os.ReadFile(filepath.Join(dir, "models/vit-cifar5/reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &ref); err != nil {
		t.Fatal(err)
	}
	b := &forward.Batch{Size: len(ref.Images)}
	for i, im := range ref.Images {
		raw, err := os.ReadFile(filepath.Join(dir, im.Path))
		if err != nil {
			t.Fatal(err)
		}
		_, _, rgb, err := jpegrgb.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, 3*32*32)
		for p := 0; p < 32*32; p++ {
			for k := 0; k < 3; k++ {
				x[k*32*32+p] = (float32(rgb[3*p+k])/255 - 0.5) / 0.5
			}
		}
		b.Inputs = append(b.Inputs, x...)
		b.Labels = append(b.Labels, im.Label)
		b.Index = append(b.Index, int32(i))
	}
	return NewNet(w), b, ref
}

func TestReferenceLogits(t *testing.T) {
	n, b, ref := cifar5(t)
	m := NewModel(n, Options{Threads: 2, Loss: crossEntropy(t), Mask: true})
	c, err := m.Evaluate(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	var worst, worstLoss float64
	for i, im := range ref.Images {
		for k, v := range im.Logits {
			worst = max(worst, math.Abs(float64(c.Logits[i*5+k]-v)))
		}
		worstLoss = max(worstLoss, math.Abs(float64(c.Losses[i]-im.Loss)))
	}
	t.Logf("largest difference: logits %.2g, losses %.2g", worst, worstLoss)
	if !(worst < 1e-4) || !(worstLoss < 1e-4) {
		t.Errorf("logits differ by %g, losses by %g", worst, worstLoss)
	}
}

// TestReferenceGradients compares bp with PyTorch's gradients: norms and first
// elements to 1e-3 relative.
func TestReferenceGradients(t *testing.T) {
	n, b, ref := cifar5(t)
	for _, p := range n.params {
		p.Grad = make([]float32, len(p.Data))
	}
	m := NewModel(n, Options{Threads: 2, Loss: crossEntropy(t), Mask: true})
	if _, err := m.Backward(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	if len(ref.Gradients) < len(n.params) {
		t.Fatalf("%d reference gradients for %d parameters", len(ref.Gradients), len(n.params))
	}
	for _, p := range n.params {
		want := ref.Gradients[p.Name]
		var sq, sum float64
		for _, g := range p.Grad {
			sq += float64(g) * float64(g)
			sum += float64(g)
		}
		norm := math.Sqrt(sq)
		if math.Abs(norm-want.Norm) > 1e-3*want.Norm+1e-7 {
			t.Errorf("%s: norm %g, PyTorch %g", p.Name, norm, want.Norm)
		}
		if math.Abs(sum-want.Sum) > 1e-3*want.Norm*math.Sqrt(float64(len(p.Grad)))+1e-6 {
			t.Errorf("%s: sum %g, PyTorch %g", p.Name, sum, want.Sum)
		}
		for i, v := range want.First5 {
			if math.Abs(float64(p.Grad[i])-v) > 1e-3*math.Abs(v)+1e-4*want.Norm/math.Sqrt(float64(len(p.Grad)))+1e-7 {
				t.Errorf("%s[%d]: %g, PyTorch %g", p.Name, i, p.Grad[i], v)
			}
		}
	}
}
