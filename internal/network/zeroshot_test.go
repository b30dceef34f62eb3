package network

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/texts"
	"github.com/flops-vit/flops/internal/uierr"
)

// Zero-shot logits and probabilities are the library's to 1e-4.
func TestZeroShot(t *testing.T) {
	ctx, c := context.Background(), config.Default()
	c.Train.Device = "cpu"
	for _, dir := range testkit.TextModels(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var ref struct {
				Prompts []string
				Outputs struct {
					Logits [][]float64 `json:"logits_per_image"`
				}
			}
			raw, err := os.ReadFile(filepath.Join(dir, "reference.json"))
			if err == nil {
				err = json.Unmarshal(raw, &ref)
			}
			if err != nil {
				t.Fatal(err)
			}
			m, err := OpenZeroShot(ctx, dir, c, ref.Prompts, ref.Prompts, []string{"{}"}, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			b := zooImages(2, m.Chans, m.Height, m.Width)
			b.Labels = []int32{0, 2}
			out, err := m.Model.Evaluate(ctx, b)
			if err != nil {
				t.Fatal(err)
			}
			k := len(ref.Prompts)
			for i, want := range ref.Outputs.Logits {
				p := m.Scores(out.Logits[i*k : (i+1)*k])
				var sum float64
				for j, v := range want {
					sum += math.Exp(v)
					if got := float64(out.Logits[i*k+j]); math.Abs(got-v) > 1e-4*max(1, math.Abs(v)) {
						t.Errorf("image %d text %d: %v, want %v", i, j, got, v)
					}
				}
				for j, v := range want {
					prob := math.Exp(v) / sum
					if _, sig := siglips[filepath.Base(dir)]; sig {
						prob = 1 / (1 + math.Exp(-v))
					}
					if math.Abs(float64(p[j])-prob) > 1e-4 {
						t.Errorf("image %d text %d: probability %v, want %v", i, j, p[j], prob)
					}
				}
			}
		})
	}
}

var siglips = map[string]bool{"siglip": true, "siglip2-fixed": true}

// Several prompts of a class are averaged as unit embeddings, and the mean made a
// unit again.
func TestPromptsAreAveraged(t *testing.T) {
	tower, err := texts.Open("../../testdata/texts/clip", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tower.Close()
	ctx, prompts := context.Background(), []string{"a photo of a {}.", "the {} in the snow"}
	both, err := tower.Classes(ctx, []string{"cat", "dog"}, prompts)
	if err != nil {
		t.Fatal(err)
	}
	width := tower.Width()
	sum := make([]float64, 2*width)
	for _, p := range prompts {
		one, err := tower.Classes(ctx, []string{"cat", "dog"}, []string{p})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range one {
			sum[i] += float64(v)
		}
	}
	for k := range 2 {
		var sq float64
		for _, v := range sum[k*width : (k+1)*width] {
			sq += v * v
		}
		for j, v := range sum[k*width : (k+1)*width] {
			if got := float64(both[k*width+j]); math.Abs(got-v/math.Sqrt(sq)) > 1e-6 {
				t.Errorf("class %d value %d: %v, want %v", k, j, got, v/math.Sqrt(sq))
			}
		}
	}
	if _, err := tower.Classes(ctx, []string{"cat"}, []string{"a photo"}); err == nil || !uierr.IsMistake(err) {
		t.Errorf("a prompt without a name's place: %v", err)
	}
	said := 0
	tower2, err := texts.Open("../../testdata/texts/siglip", 1, func(string) { said++ })
	if err != nil {
		t.Fatal(err)
	}
	defer tower2.Close()
	long := "a photo of a photo of a photo of a dog of a photo of a photo"
	if _, err := tower2.Embed(ctx, []string{"a cat", long}); err != nil || said != 1 {
		t.Errorf("a text that is cut: %v, said %d times", err, said)
	}
}

func TestZeroShotRefuses(t *testing.T) {
	c := config.Default()
	c.Train.Device = "cpu"
	_, err := OpenZeroShot(context.Background(), "../../testdata/zoo/vit-relu", c, []string{"a"}, []string{"a"}, nil, nil)
	if !errors.Is(err, hf.ErrNoText) {
		t.Errorf("a ViT: %v", err)
	}
	_, err = OpenZeroShot(context.Background(), "../../testdata/zoo/clip-vision-projection", c, []string{"a"},
		[]string{"a"}, nil, nil)
	if !errors.Is(err, hf.ErrNoText) {
		t.Errorf("a tower of images: %v", err)
	}
}
