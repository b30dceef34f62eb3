package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flops-vit/flops/internal/jsonobj"
)

// processor is what a class of transformers assumes of keys that a
// preprocessor_config.json leaves out.
type processor struct {
	square    bool // a number as size is a square; false: the shorter side
	size      int
	crop      int // 0: the class itself cuts nothing
	resample  int
	mean, std []float32
	cropPct   bool // below 384 pixels an image is brought to size/crop_pct and cut
}

// defaultProcessor is what transformers takes for a ViT without a class;
// anyProcessor reads every size and crop in all versions of transformers.
const (
	defaultProcessor = "ViTImageProcessor"
	anyProcessor     = "CLIPImageProcessor"
)

var (
	half         = []float32{0.5, 0.5, 0.5}
	imageNetMean = []float32{0.485, 0.456, 0.406}
	imageNetStd  = []float32{0.229, 0.224, 0.225}
	clipMean     = []float32{0.48145466, 0.4578275, 0.40821073}
	clipStd      = []float32{0.26862954, 0.26130258, 0.27577711}
)

// processors are the classes that are known.
var processors = map[string]processor{
	defaultProcessor:       {square: true, size: 224, resample: 2, mean: half, std: half},
	"DeiTImageProcessor":   {square: true, size: 256, crop: 224, resample: 3, mean: half, std: half},
	"SiglipImageProcessor": {size: 224, resample: 3, mean: half, std: half},
	anyProcessor:           {size: 224, crop: 224, resample: 3, mean: clipMean, std: clipStd},
	"BeitImageProcessor":   {square: true, size: 224, resample: 3, mean: half, std: half},
	// Its own resizing is in floating point, from which ours in whole levels differs
	// by one at most.
	"DINOv3ViTImageProcessor": {square: true, size: 224, resample: 2, mean: imageNetMean, std: imageNetStd},
	"ConvNextImageProcessor":  {size: 384, resample: 3, mean: half, std: half, cropPct: true},
	"BitImageProcessor":       {size: 224, crop: 224, resample: 3, mean: clipMean, std: clipStd},
}

// sameProcessor are classes that do what another does.
var sameProcessor = map[string]string{"ViTHybridImageProcessor": "BitImageProcessor"}

// preprocessor is a file of the class without any key.
func (k processor) preprocessor(class string, channels int) *Preprocessor {
	p := &Preprocessor{Class: class, Resize: true, Resample: k.resample, Crop: k.crop > 0, CropSide: k.crop,
		Rescale: true, RescaleFactor: 1.0 / 255, Normalize: true, Mean: slices.Clone(k.mean), Std: slices.Clone(k.std)}
	if k.square || k.crop == 0 { // Siglip's own size is a square, though a number would not be one
		p.Width, p.Height = k.size, k.size
	} else {
		p.Shortest = k.size
	}
	if channels != len(half) && slices.Equal(k.mean, half) {
		p.Mean, p.Std = slices.Repeat(half[:1], channels), slices.Repeat(half[:1], channels)
	}
	return p
}

// readSizes reads size and crop_size.
func (p *Preprocessor) readSizes(square bool) error {
	size, err := takeSize(p.extra, "size", square)
	if err != nil {
		return err
	}
	if size != nil {
		p.Width, p.Height = size["width"], size["height"]
		p.Shortest, p.Longest = size["shortest_edge"], size["longest_edge"]
	}
	crop, err := takeSize(p.extra, "crop_size", true)
	if err != nil {
		return err
	}
	if crop != nil {
		if p.CropSide, p.CropWide = crop["height"], crop["width"]; p.CropSide == p.CropWide {
			p.CropWide = 0
		}
	}
	switch {
	case p.Crop && crop == nil && p.CropSide == 0:
		return errors.New("do_center_crop is there and crop_size is not")
	case p.Crop && crop != nil && crop["width"] == 0:
		return errors.New("crop_size: no height and width")
	case p.Crop || !p.Resize:
		return nil
	case p.Width == 0:
		return errors.New("size: shortest_edge without do_center_crop makes images of different shapes")
	}
	return nil
}

// readCropPct reads what ConvNext's class makes of its size: below 384 the shorter
// edge becomes size/crop_pct and the middle is cut, and from 384 on an image is
// stretched.
func (p *Preprocessor) readCropPct() error {
	pct := 224.0 / 256
	if err := take(p.extra, "crop_pct", &pct); err != nil {
		return err
	}
	size, err := takeSize(p.extra, "size", false)
	if err != nil {
		return err
	}
	n := 384
	if size != nil {
		n = size["shortest_edge"]
	}
	if !(pct > 0.01 && pct <= 1) || n < 1 {
		return fmt.Errorf("crop_pct is %v and size %v", pct, size)
	}
	p.Width, p.Height, p.Shortest = n, n, 0
	if n < 384 {
		p.Crop, p.CropSide = true, n
		p.Width, p.Height, p.Shortest = 0, 0, int(float64(n)/pct)
	}
	return nil
}

// sizeKeys are the sets of keys that a size may have.
var sizeKeys = [][]string{{"height", "width"}, {"shortest_edge"}, {"longest_edge", "shortest_edge"}}

// takeSize moves a size out of m: a number, a pair [height, width], or an object
// of sizeKeys; nil where there is none.
func takeSize(m map[string]json.RawMessage, key string, square bool) (map[string]int, error) {
	raw := m[key]
	if len(raw) == 0 || string(raw) == "null" {
		delete(m, key)
		return nil, nil
	}
	size := map[string]int{}
	switch raw[0] {
	case '[':
		var pair []int
		if err := take(m, key, &pair); err != nil {
			return nil, err
		}
		if len(pair) != 2 {
			return nil, fmt.Errorf("%s: %d numbers, not height and width", key, len(pair))
		}
		size["height"], size["width"] = pair[0], pair[1]
	case '{':
		delete(m, key)
		parts, err := jsonobj.Raw(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		maps.DeleteFunc(parts, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
		for _, k := range slices.Sorted(maps.Keys(parts)) {
			var n int
			if err := take(parts, k, &n); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			size[k] = n
		}
	default:
		var n int
		if err := take(m, key, &n); err != nil {
			return nil, err
		}
		size["shortest_edge"] = n
		if square {
			size = map[string]int{"height": n, "width": n}
		}
	}
	keys := slices.Sorted(maps.Keys(size))
	if !slices.ContainsFunc(sizeKeys, func(k []string) bool { return slices.Equal(k, keys) }) {
		return nil, fmt.Errorf("%s: %s: height and width are known, or shortest_edge with or without longest_edge", key,
			jsonobj.Clip(fmt.Sprint(keys)))
	}
	for _, k := range keys {
		if size[k] < 1 || size[k] > maxSize {
			return nil, fmt.Errorf("%s: %s is %d", key, k, size[k])
		}
	}
	return size, nil
}

// MarshalJSON writes the present layout of transformers, with every key that
// its class has a default for. A class that in some version reads no crop or no
// edge is written as one that does.
func (p *Preprocessor) MarshalJSON() ([]byte, error) {
	if p.unchanged() {
		return p.came, nil
	}
	m := map[string]any{}
	for k, v := range p.extra {
		m[k] = v
	}
	class, kind := p.Class, processors[p.Class]
	if kind.crop == 0 && p.Crop || (kind.square || kind.crop == 0) && p.Width == 0 {
		class, kind = anyProcessor, processors[anyProcessor]
	}
	size := map[string]int{"height": p.Height, "width": p.Width}
	if p.Width == 0 {
		size = map[string]int{"shortest_edge": p.Shortest}
		if p.Longest > 0 {
			size["longest_edge"] = p.Longest
		}
	}
	maps.Copy(m, map[string]any{"image_processor_type": class, "do_resize": p.Resize, "size": size,
		"resample": p.Resample, "do_rescale": p.Rescale, "rescale_factor": p.RescaleFactor,
		"do_normalize": p.Normalize, "image_mean": p.Mean, "image_std": p.Std})
	if p.Crop || kind.crop > 0 {
		m["do_center_crop"] = p.Crop
	}
	if p.CropSide > 0 {
		m["crop_size"] = map[string]int{"height": p.Rows(), "width": p.Side()}
		if !p.Crop {
			m["crop_size"] = map[string]int{"height": p.CropSide, "width": p.CropSide}
		}
	}
	return json.Marshal(m)
}
