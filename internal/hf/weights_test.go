package hf

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/testkit"
)

func TestVitCifar5(t *testing.T) {
	dir := testkit.Shared(t, "models/vit-cifar5")
	m, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.Classes() != 5 || m.Config.Labels[4] != "ship" || m.Config.HiddenSize != 128 || len(m.Ignored)+len(m.Extra) != 0 {
		t.Errorf("%+v, ignored %v, extra %v", m.Config, m.Ignored, m.Extra)
	}
	file, err := os.ReadFile(filepath.Join(dir, safetensors.ModelName))
	if err != nil {
		t.Fatal(err)
	}
	// The first tensor, cls_token, read by hand.
	at := 8 + binary.LittleEndian.Uint64(file)
	for i := range 128 {
		if got, want := m.Tensors[0].Data[i], math.Float32frombits(binary.LittleEndian.Uint32(file[at+4*uint64(i):])); got != want {
			t.Fatalf("cls_token[%d] = %v, the file has %v", i, got, want)
		}
	}
	s, err := Inspect(dir)
	if err != nil || s.Parameters != (s.Bytes-8-int64(at-8))/4 || s.Classes != 5 || s.Tokens != 65 ||
		s.DTypes["F32"] != s.Parameters {
		t.Errorf("%+v, %v", s, err)
	}
	out := t.TempDir()
	save(t, out, m, safetensors.F32)
	again, err := Load(out)
	if err != nil || !sameTensors(again.Tensors, m.Tensors) {
		t.Error("a saved model came back different", err)
	}
	a, b := canon(t, filepath.Join(dir, ConfigName)), canon(t, filepath.Join(out, ConfigName))
	if b = strings.Replace(b, " \"dtype\": \"float32\",\n", "", 1); a != b { // the newer name of torch_dtype is added
		t.Errorf("config.json changed:\n%s\n%s", a, b)
	}
	if a, b := canon(t, filepath.Join(dir, PreprocessorName)), canon(t, filepath.Join(out, PreprocessorName)); a != b {
		t.Errorf("preprocessor_config.json changed:\n%s\n%s", a, b)
	}
}

// TestViTBaseLoads times a ViT-B of 344 MB, which must load in under two
// seconds. The file comes from the page cache.
func TestViTBaseLoads(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 344 MB")
	}
	dir := t.TempDir()
	m := &Model{Config: DefaultConfig()}
	for _, s := range m.Config.Layout(10) {
		m.Tensors = append(m.Tensors,
			safetensors.Tensor{Name: s.Name, Shape: s.Shape, Data: make([]float32, numbers(s.Shape))})
	}
	m.Config.Labels = NumberedLabels(10)
	save(t, dir, m, safetensors.F32)
	m = nil
	best := time.Hour
	for range 3 {
		began := time.Now()
		if _, err := Load(dir); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(began))
	}
	t.Logf("ViT-B/16: %v", best)
	if best > 2*time.Second {
		t.Errorf("ViT-B/16 took %v to load", best)
	}
}
