package hf

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/internal/jsonobj"
)

// timmInput takes the image size that the weights were made for.
func (c *Config) timmInput(cfg map[string]json.RawMessage) error {
	var size []int
	if err := take(cfg, "input_size", &size); err != nil || size == nil {
		return err
	}
	if len(size) != 3 {
		return fmt.Errorf("pretrained_cfg: input_size %v is no channels, rows and columns", size)
	}
	if c.NumChannels, c.ImageSize, c.ImageWidth = size[0], size[1], size[2]; size[1] == size[2] {
		c.ImageWidth = 0
	}
	return nil
}

// resampleNamed is Pillow's number of a filter, -1 where it has none.
func resampleNamed(filter string) int {
	return slices.Index([]string{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"}, filter)
}

// timmPreprocessor is timm's transform for evaluation.
func (c *Config) timmPreprocessor(cfg map[string]json.RawMessage) (*Preprocessor, error) {
	pct, mode, filter := 0.875, "center", "bicubic"
	p := processors[anyProcessor].preprocessor(anyProcessor, c.NumChannels)
	p.Mean, p.Std = []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225}
	for key, dst := range map[string]any{"crop_pct": &pct, "crop_mode": &mode, "interpolation": &filter,
		"mean": &p.Mean, "std": &p.Std} {
		if err := take(cfg, key, dst); err != nil {
			return nil, fmt.Errorf("pretrained_cfg: %w", err)
		}
	}
	if p.Resample = resampleNamed(filter); p.Resample < 0 {
		return nil, fmt.Errorf("pretrained_cfg: interpolation is %q", jsonobj.Clip(filter))
	}
	if !(pct > 0.01 && pct <= 1) {
		return nil, fmt.Errorf("pretrained_cfg: crop_pct is %v", pct)
	}
	p.CropSide, p.CropWide, p.CropEven = c.ImageSize, c.ImageWidth, true
	edge := func(n int) int { return int(math.Floor(float64(n) / pct)) }
	switch mode {
	case "center":
		p.Shortest = edge(c.ImageSize)
		if c.ImageWidth > 0 {
			p.Shortest, p.Width, p.Height, p.Cover = 0, edge(c.ImageWidth), edge(c.ImageSize), true
		}
	case "squash":
		p.Shortest, p.Width, p.Height = 0, edge(c.Columns()), edge(c.ImageSize)
	case "border":
		p.Shortest, p.Width, p.Height, p.Contain = 0, edge(c.Columns()), edge(c.ImageSize), true
	default:
		return nil, fmt.Errorf("pretrained_cfg: crop_mode is %q; center, squash and border are known", jsonobj.Clip(mode))
	}
	return p, p.check(c)
}
