package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"

	"github.com/flops-vit/flops/internal/uierr"
)

const preprocessorName = "preprocessor_config.json"

// Preprocessor is the preprocessor_config.json of a model: how an image
// becomes the model's input. Keys it does not know are kept and written back.
type Preprocessor struct {
	Resize        bool
	Size          int // pixels of a side of the model's input
	ShortestEdge  int // with a centre crop: the shorter side is first resized to this; 0: the image is stretched to Size
	Resample      int // Pillow's number: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic
	Normalize     bool
	Mean, Std     []float32 // per channel
	RescaleFactor float64   // what a pixel of 0..255 is multiplied by before mean and deviation

	extra map[string]json.RawMessage
}

// DefaultPreprocessor is that of google/vit-base-patch16-224 at the given size:
// stretch, bilinear, (x/255 − 0.5)/0.5.
func DefaultPreprocessor(size, channels int) *Preprocessor {
	p := &Preprocessor{Resize: true, Size: size, Resample: 2, Normalize: true, RescaleFactor: 1.0 / 255}
	for range channels {
		p.Mean, p.Std = append(p.Mean, 0.5), append(p.Std, 0.5)
	}
	return p
}

// ReadPreprocessor reads a preprocessor_config.json in its present layout or
// that of the former feature extractors; a file that does not exist means the
// default for the config.
func ReadPreprocessor(path string, c *Config) (*Preprocessor, error) {
	raw, err := readSmall(path, maxJSON)
	if errors.Is(err, os.ErrNotExist) {
		return DefaultPreprocessor(c.ImageSize, c.NumChannels), nil
	}
	if err != nil {
		return nil, missing(err, path)
	}
	p, err := parsePreprocessor(raw, c)
	if err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err), "correct the file, or remove it to get the defaults of ViT")
	}
	return p, nil
}

func parsePreprocessor(raw []byte, c *Config) (*Preprocessor, error) {
	m, err := rawMembers(raw)
	if err != nil {
		return nil, err
	}
	p := DefaultPreprocessor(c.ImageSize, c.NumChannels)
	p.extra = m
	rescale := true
	for _, k := range []struct {
		key string
		dst any
	}{{"do_resize", &p.Resize}, {"resample", &p.Resample}, {"do_normalize", &p.Normalize}, {"image_mean", &p.Mean},
		{"image_std", &p.Std}, {"do_rescale", &rescale}, {"rescale_factor", &p.RescaleFactor}} {
		if err := take(m, k.key, k.dst); err != nil {
			return nil, err
		}
	}
	if !rescale {
		p.RescaleFactor = 1
	}
	if err := p.readSize(); err != nil {
		return nil, err
	}
	return p, p.check(c.NumChannels)
}

// readSize reads size, which is a number in the old layout, {height, width} in
// the new one, or {shortest_edge} before a centre crop.
func (p *Preprocessor) readSize() error {
	var crop bool
	if err := take(p.extra, "do_center_crop", &crop); err != nil {
		return err
	}
	edge, err := takeSize(p.extra, "size", &p.Size)
	if err != nil {
		return err
	}
	if !edge && !crop {
		delete(p.extra, "crop_size")
		return nil
	}
	p.ShortestEdge = p.Size
	if !crop {
		return errors.New("size: shortest_edge without do_center_crop makes images of different shapes")
	}
	_, err = takeSize(p.extra, "crop_size", &p.Size)
	return err
}

func takeSize(m map[string]json.RawMessage, key string, dst *int) (edge bool, err error) {
	raw := m[key]
	if len(raw) == 0 || raw[0] != '{' {
		return false, takeSquare(m, key, dst)
	}
	delete(m, key)
	parts, err := rawMembers(raw)
	if err != nil {
		return false, fmt.Errorf("%s: %w", key, err)
	}
	if _, edge = parts["shortest_edge"]; edge {
		return true, take(parts, "shortest_edge", dst)
	}
	var h, w int
	if err := take(parts, "height", &h); err != nil {
		return false, err
	}
	if err := take(parts, "width", &w); err != nil {
		return false, err
	}
	if h != w {
		return false, fmt.Errorf("%s: %d by %d is not square", key, h, w)
	}
	*dst = h
	return false, nil
}

func (p *Preprocessor) check(channels int) error {
	switch {
	case p.Size < 1 || p.Size > maxSize || p.ShortestEdge < 0 || p.ShortestEdge > maxSize:
		return fmt.Errorf("size is %d", max(p.Size, p.ShortestEdge))
	case p.Resample < 0 || p.Resample > 5:
		return fmt.Errorf("resample is %d; Pillow knows 0 to 5", p.Resample)
	case len(p.Mean) != channels || len(p.Std) != channels:
		return fmt.Errorf("image_mean has %d and image_std %d numbers for %d channels", len(p.Mean), len(p.Std), channels)
	case !(p.RescaleFactor > 0) || math.IsInf(p.RescaleFactor, 0):
		return errors.New("rescale_factor is not above 0")
	}
	for i := range p.Mean {
		if m, s := float64(p.Mean[i]), float64(p.Std[i]); math.IsNaN(m) || math.IsInf(m, 0) || !(s > 0) || math.IsInf(s, 0) {
			return fmt.Errorf("image_mean %v and image_std %v: channel %d cannot be normalised", p.Mean, p.Std, i)
		}
	}
	return nil
}

// Normalization is what a pixel between 0 and 1 is normalised with,
// (x − mean)/std, whatever the rescale factor and with Normalize false too.
func (p *Preprocessor) Normalization() (mean, std []float32) {
	f := 255 * p.RescaleFactor
	for i := range p.Mean {
		m, s := 0.0, 1.0
		if p.Normalize {
			m, s = float64(p.Mean[i]), float64(p.Std[i])
		}
		mean, std = append(mean, float32(m/f)), append(std, float32(s/f))
	}
	return mean, std
}

// MarshalJSON writes the present layout of transformers.
func (p *Preprocessor) MarshalJSON() ([]byte, error) {
	m := map[string]any{"image_processor_type": "ViTImageProcessor"}
	for k, v := range p.extra {
		m[k] = v
	}
	delete(m, "feature_extractor_type")
	square := map[string]int{"height": p.Size, "width": p.Size}
	maps.Copy(m, map[string]any{"do_resize": p.Resize, "size": square, "resample": p.Resample, "do_normalize": p.Normalize,
		"image_mean": p.Mean, "image_std": p.Std, "do_rescale": p.RescaleFactor != 1, "rescale_factor": p.RescaleFactor})
	if p.ShortestEdge > 0 {
		maps.Copy(m, map[string]any{"do_center_crop": true, "size": map[string]int{"shortest_edge": p.ShortestEdge}, "crop_size": square})
	}
	return json.Marshal(m)
}
