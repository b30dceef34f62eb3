package network

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// peer finds a Python with PyTorch and the reference implementation, or skips.
func peer(t *testing.T) (python, folder string) {
	t.Helper()
	if testing.Short() {
		t.Skip("writes a model of 330 MiB")
	}
	shared := os.Getenv("FLOPS_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	folder = filepath.Join(shared, "peer")
	if _, err := os.Stat(filepath.Join(folder, "vit.py")); err != nil {
		t.Skip("no reference implementation beside the repository")
	}
	for _, name := range []string{os.Getenv("FLOPS_PYTHON"), "python3", "/usr/bin/python3"} {
		if name != "" && exec.Command(name, "-c", "import torch").Run() == nil {
			return name, folder
		}
	}
	t.Skip("no Python with PyTorch; FLOPS_PYTHON names one")
	return "", ""
}

func floats(t *testing.T, path string) []float32 {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	v := make([]float32, len(raw)/4)
	if err := binary.Read(bytes.NewReader(raw), binary.LittleEndian, v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestViTB loads a ViT-B that PyTorch wrote: in under two seconds, and with
// logits that agree to 1e-3.
func TestViTB(t *testing.T) {
	python, folder := peer(t)
	dir := t.TempDir()
	if out, err := exec.Command(python, filepath.Join("testdata", "vitb.py"), folder, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	took := time.Duration(math.MaxInt64)
	var l *Local
	for range 2 { // the better of two: other processes share the machine
		began := time.Now()
		var err error
		if l, err = LoadLocal(dir, nil, Tokens{}, 0); err != nil {
			t.Fatal(err)
		}
		took = min(took, time.Since(began))
	}
	if took > 2*time.Second {
		t.Errorf("loading took %v", took)
	}
	src := noise.Gaussian(0)
	loss, err := objective.New("cross_entropy")
	if err != nil {
		t.Fatal(err)
	}
	m := vit.NewModel(vit.NewNet(l.Weights),
		vit.Options{Threads: runtime.GOMAXPROCS(0), Noise: src, Loss: loss, Mask: true})
	defer m.Close()
	c, err := m.Evaluate(context.Background(), &forward.Batch{Size: 2, Inputs: floats(t, filepath.Join(dir,
		"input.bin")), Labels: []int32{0, 1}, Index: []int32{0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i, want := range floats(t, filepath.Join(dir, "logits.bin")) {
		worst = max(worst, math.Abs(float64(c.Logits[i]-want)))
	}
	t.Logf("loaded in %v, logits within %.2g", took, worst)
	if !(worst < 1e-3) {
		t.Errorf("logits differ by %g", worst)
	}
}
