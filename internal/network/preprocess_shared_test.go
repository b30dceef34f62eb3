package network

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/hf"
)

// TestPreprocessOfFiles compares pixels of PNG files with transformers' Pillow
// backend, for the classes that are known here.
func TestPreprocessOfFiles(t *testing.T) {
	root := os.Getenv("FLOPS_SHARED")
	if root == "" {
		root = "../../../shared"
	}
	root = filepath.Join(root, "models/zoo/preprocess")
	raw, err := os.ReadFile(filepath.Join(root, "reference.json"))
	if err != nil {
		t.Skipf("no reference of files: %v", err)
	}
	var all []struct {
		Case, Image string
		Timm        json.RawMessage `json:"pretrained_cfg"`
		Pil         *struct {
			Shape  []int
			Values []float64
		}
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	unknown := map[string]bool{"no-resize": true}
	compared := 0
	for _, r := range all {
		if unknown[r.Case] || r.Pil == nil {
			continue
		}
		im, err := data.ReadImage(filepath.Join(root, r.Image), config.Default().Data)
		if err != nil {
			t.Fatal(err)
		}
		l := &Local{}
		if r.Timm != nil {
			l = timmOf(t, r.Timm)
		} else if file, err := os.ReadFile(filepath.Join(root, r.Case, "preprocessor_config.json")); err != nil {
			t.Fatal(err)
		} else {
			l = preprocessorOf(t, file, 16)
		}
		got := l.input(t, im)
		if len(got) != len(r.Pil.Values) {
			t.Errorf("%s of %s: %d values, not %d", r.Case, r.Image, len(got), len(r.Pil.Values))
			continue
		}
		compared++
		for i, want := range r.Pil.Values {
			tolerance := 1e-4 * (1 + math.Abs(want)) // five digits are given
			if r.Case == "dinov3" {                  // which resizes in floating point: one level
				tolerance += 1 / 255.0 / 0.224
			}
			if math.Abs(float64(got[i])-want) > tolerance {
				t.Errorf("%s of %s: value %d is %v, not %v", r.Case, r.Image, i, got[i], want)
				break
			}
		}
	}
	t.Logf("%d compared", compared)
}

// timmOf is the preprocessing of a timm folder of images of 16 pixels.
func timmOf(t *testing.T, cfg []byte) *Local {
	t.Helper()
	dir := t.TempDir()
	raw := fmt.Appendf(nil,
		`{"architecture":"vit_tiny_patch16_224","model_args":{"img_size":[16,16],"patch_size":8},"pretrained_cfg":%s}`, cfg)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := hf.ReadConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := hf.ReadPreprocessor(filepath.Join(dir, "preprocessor_config.json"), c)
	if err != nil {
		t.Fatal(err)
	}
	return &Local{Config: c, Pre: p}
}
