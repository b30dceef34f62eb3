package main

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/safetensors"
)

// TestEvalLimitIsBalanced measures classes that hold one picture many times: a
// few of each have the loss of all.
func TestEvalLimitIsBalanced(t *testing.T) {
	l, err := network.NewLocal(config.Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 8, Layers: 1, Heads: 2, MLP: 16},
		[]string{"a", "b"}, network.Tokens{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	model, photos := filepath.Join(t.TempDir(), "model"), t.TempDir()
	if err := hf.Save(fsys.OS, model, l.Model(), safetensors.F32); err != nil {
		t.Fatal(err)
	}
	for k, class := range []string{"a", "b"} {
		dir := filepath.Join(photos, class)
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			im := image.NewRGBA(image.Rect(0, 0, 8, 8))
			draw.Draw(im, im.Rect, image.NewUniform(color.RGBA{uint8(200 * k), 40, 90, 255}), image.Point{}, draw.Src)
			f, err := os.Create(filepath.Join(dir, fmt.Sprint(i, ".png")))
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(f, im); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
	measure := func(args ...string) runs.Eval {
		var e runs.Eval
		out := must1(t, append([]string{"eval", "--model", model, "--data", photos, "--json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	all, some := measure(), measure("--limit", "4")
	if all.Images != 12 || some.Images != 4 || math.Abs(all.Loss()-some.Loss()) > 1e-6 || all.Score() != some.Score() {
		t.Errorf("all: %+v, four: %+v", all, some)
	}
}
