package network

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/hf"
)

// preprocessed is what transformers makes of images
// (scripts/make-preprocess-vectors.py).
type preprocessed struct {
	Config    json.RawMessage
	ImageSize int `json:"image_size"`
	Results   []struct {
		Image          [2]int
		Mean, Weighted float64
		At             []int
		Values         []float64
	}
}

// formula is the script's image of w×h pixels.
func formula(w, h int) *data.Image {
	im := &data.Image{Width: w, Height: h}
	for y := range h {
		for x := range w {
			im.Pix = append(im.Pix, uint8(x*37+y*91+x*y*13), uint8(x*x*7+y*29), uint8(x*5+y*y*11+97))
		}
	}
	return im
}

// preprocessorOf reads a preprocessor_config.json of a model for images of size.
func preprocessorOf(t *testing.T, raw []byte, size int) *Local {
	t.Helper()
	path := filepath.Join(t.TempDir(), "preprocessor_config.json")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	c := hf.DefaultConfig()
	c.ImageSize = size
	p, err := hf.ReadPreprocessor(path, c)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return &Local{Config: c, Pre: p}
}

// input is what the network gets to see of an image.
func (l *Local) input(t *testing.T, im *data.Image) []float32 {
	t.Helper()
	tr, err := l.Transform(config.Data{})
	if err != nil {
		t.Fatal(err)
	}
	fit, err := tr.Fit(im, "formula")
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, 3*l.Config.ImageSize*l.Config.ImageSize)
	tr.Write(dst, fit, nil)
	return dst
}

// TestPreprocessAsTransformers compares every class, in its present and its
// former layout, and what we write of the same file.
func TestPreprocessAsTransformers(t *testing.T) {
	raw, err := os.ReadFile("testdata/preprocess.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []preprocessed
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		l := preprocessorOf(t, c.Config, c.ImageSize)
		written, err := json.Marshal(l.Pre)
		if err != nil {
			t.Fatal(err)
		}
		again := preprocessorOf(t, written, c.ImageSize)
		for _, r := range c.Results {
			im := formula(r.Image[0], r.Image[1])
			got := l.input(t, im)
			if !slices.Equal(again.input(t, im), got) {
				t.Errorf("%s, written as %s, makes something else of %v", c.Config, written, r.Image)
			}
			var sum, weighted float64
			for i, v := range got {
				sum += float64(v)
				weighted += float64(v) * float64(uint64(i)*2654435761%1009) / 1009
			}
			// Both compute in 8 bits up to the normalisation: what is left is the
			// rounding of float32, relative to values of up to 255 and more.
			near := func(what string, got, want float64) {
				if math.Abs(got-want) > 1e-6*(1+math.Abs(want)) {
					t.Errorf("%s on %v: %s %v, not %v", c.Config, r.Image, what, got, want)
				}
			}
			near("mean", sum/float64(len(got)), r.Mean)
			near("weighted mean", weighted/float64(len(got)), r.Weighted)
			for k, at := range r.At {
				near(fmt.Sprintf("value %d", at), float64(got[at]), r.Values[k])
			}
		}
	}
}
