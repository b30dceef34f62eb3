package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/uierr"
)

// PreprocessorName is the file that says how an image becomes the model's input.
const PreprocessorName = "preprocessor_config.json"

// Preprocessor is the preprocessor_config.json of a model: how an image
// becomes the model's input, in the order of the fields. Keys it does not know are
// kept and written back.
type Preprocessor struct {
	Class string // of transformers, such as ViTImageProcessor

	Resize        bool
	Width, Height int // pixels that an image is stretched to; 0: its edges count
	Shortest      int // pixels of the shorter side
	Longest       int // with Shortest: at most so many on the longer side; 0: no limit
	Resample      int // Pillow's number: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming

	Crop     bool // cut CropSide×CropSide out of the middle, black where the image is smaller
	CropSide int
	CropWide int // columns that are cut, where they are not as many as rows; 0: as many
	// Cover: Width and Height are the least that an image is brought to, in its own
	// shape; Contain: the most, with the mean's colour around it.
	Cover, Contain bool
	// CropEven cuts where torchvision's CenterCrop does: an odd rest is halved as
	// Python rounds, to the even number. No file says it; timm's folders mean it.
	CropEven bool

	Rescale       bool
	RescaleFactor float64 // what a level of 0 to 255 is multiplied by

	Normalize bool
	Mean, Std []float32 // per channel

	extra map[string]json.RawMessage
	came  json.RawMessage // the text of the file, which is written back where nothing has changed
	read  *Preprocessor   // what it meant
}

// DefaultPreprocessor is that of google/vit-base-patch16-224 at the given size:
// stretch, bilinear, (x/255 − 0.5)/0.5.
func DefaultPreprocessor(size, channels int) *Preprocessor {
	p := processors[defaultProcessor].preprocessor(defaultProcessor, channels)
	p.Width, p.Height = size, size
	return p
}

// Side is the pixels of a row of what comes out, 0 where that depends on the
// image.
func (p *Preprocessor) Side() int {
	switch {
	case p.Crop && p.CropWide > 0:
		return p.CropWide
	case p.Crop:
		return p.CropSide
	case p.Resize:
		return p.Width
	}
	return 0
}

// Rows is the rows of what comes out, 0 where that depends on the image.
func (p *Preprocessor) Rows() int {
	switch {
	case p.Crop:
		return p.CropSide
	case p.Resize:
		return p.Height
	}
	return 0
}

// ReadPreprocessor reads a preprocessor_config.json in its present layout or
// that of the former feature extractors; a file that does not exist means the
// default for the config.
func ReadPreprocessor(path string, c *Config) (*Preprocessor, error) {
	raw, err := fsys.ReadSmall(path, jsonobj.MaxFile)
	if errors.Is(err, os.ErrNotExist) {
		if c.input != nil {
			return c.input, nil
		}
		p := DefaultPreprocessor(c.ImageSize, c.NumChannels)
		p.Width = c.Columns()
		return p, nil
	}
	if err != nil {
		return nil, fsys.ReadError(err, path)
	}
	p, err := ParsePreprocessor(raw, c)
	if err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err),
			"correct the file, or remove it to get the defaults of ViT")
	}
	return p, nil
}

// ParsePreprocessor reads the text of a preprocessor_config.json.
func ParsePreprocessor(raw []byte, c *Config) (*Preprocessor, error) {
	m, err := jsonobj.Raw(raw)
	if err != nil {
		return nil, err
	}
	modern := m["image_processor_type"] != nil
	class, err := takeClass(m)
	if err != nil {
		return nil, err
	}
	kind := processors[class]
	p := kind.preprocessor(class, c.NumChannels)
	p.extra = m
	for key, dst := range map[string]*bool{"do_resize": &p.Resize, "do_center_crop": &p.Crop, "do_rescale": &p.Rescale,
		"do_normalize": &p.Normalize} {
		if string(m[key]) == "null" { // which transformers takes for false
			*dst = false
		}
		if err := take(m, key, dst); err != nil {
			return nil, err
		}
	}
	for key, dst := range map[string]any{"resample": &p.Resample, "rescale_factor": &p.RescaleFactor} {
		if err := take(m, key, dst); err != nil {
			return nil, err
		}
	}
	for key, dst := range map[string]*[]float32{"image_mean": &p.Mean, "image_std": &p.Std} {
		if err := takeChannels(m, key, c.NumChannels, dst); err != nil {
			return nil, err
		}
	}
	if kind.cropPct {
		if err := p.readCropPct(); err != nil {
			return nil, err
		}
	}
	if err := p.readSizes(kind.square); err != nil {
		return nil, err
	}
	if err := unknownSteps(m); err != nil {
		return nil, err
	}
	if !modern { // is brought to the present layout
		return p, p.check(c)
	}
	was := *p
	was.Mean, was.Std = slices.Clone(p.Mean), slices.Clone(p.Std)
	p.came, p.read = raw, &was
	return p, p.check(c)
}

// unchanged says that the file which came still says what is meant.
func (p *Preprocessor) unchanged() bool {
	if p.read == nil {
		return false
	}
	now, was := *p, *p.read
	now.came, now.read, was.came, was.read = nil, nil, nil, nil
	return reflect.DeepEqual(now, was)
}

// takeClass is the class that a file names. Without any it is that of a ViT.
func takeClass(m map[string]json.RawMessage) (string, error) {
	var class, former string
	if err := take(m, "image_processor_type", &class); err != nil {
		return "", err
	}
	if err := take(m, "feature_extractor_type", &former); err != nil {
		return "", err
	}
	named := class
	switch {
	case class == "" && former == "":
		return defaultProcessor, nil
	case class == "":
		named, class = former, strings.TrimSuffix(former, "FeatureExtractor")+"ImageProcessor"
	}
	class = strings.TrimSuffix(strings.TrimSuffix(class, "Fast"), "Pil")
	if other, ok := sameProcessor[class]; ok {
		class = other
	}
	if _, ok := processors[class]; !ok {
		return "", fmt.Errorf("%q is no image processor that is known; known are %s", jsonobj.Clip(named),
			strings.Join(slices.Sorted(maps.Keys(processors)), ", "))
	}
	return class, nil
}

// takeChannels is take for a number per channel, which may also be one number.
func takeChannels(m map[string]json.RawMessage, key string, channels int, dst *[]float32) error {
	if raw := m[key]; len(raw) == 0 || raw[0] == '[' || string(raw) == "null" {
		return take(m, key, dst)
	}
	var one float32
	if err := take(m, key, &one); err != nil {
		return err
	}
	*dst = slices.Repeat([]float32{one}, channels)
	return nil
}

// unknownSteps refuses what would change pixels in a way that is not known here.
func unknownSteps(m map[string]json.RawMessage) error {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if on := string(m[key]); on == "false" || on == "null" || harmless[key] {
			continue
		}
		if strings.HasPrefix(key, "do_") || slices.Contains([]string{"rescale_offset", "use_square_size"}, key) {
			return fmt.Errorf("%s: a step that is not known", jsonobj.Clip(key))
		}
	}
	return nil
}

// harmless are steps that change no pixel of an RGB image.
var harmless = map[string]bool{"do_convert_rgb": true, "do_reduce_labels": true}

func (p *Preprocessor) check(c *Config) error {
	switch {
	case p.Resample < 0 || p.Resample > 5:
		return fmt.Errorf("resample is %d; Pillow knows 0 to 5", p.Resample)
	case len(p.Mean) != c.NumChannels || len(p.Std) != c.NumChannels:
		return fmt.Errorf("image_mean has %d and image_std %d numbers for %d channels", len(p.Mean), len(p.Std),
			c.NumChannels)
	case !(p.RescaleFactor > 0) || math.IsInf(p.RescaleFactor, 0):
		return errors.New("rescale_factor is not above 0")
	case p.Side() != 0 && (p.Side() != c.Columns() || p.Rows() != c.ImageSize) && !c.kind().resizes:
		return fmt.Errorf("makes images of %d×%d pixels, image_size in %s is %v", p.Side(), p.Rows(), ConfigName,
			pair(c.ImageSize, c.ImageWidth))
	}
	for i := range p.Mean {
		m, s := float64(p.Mean[i]), float64(p.Std[i])
		if math.IsNaN(m) || math.IsInf(m, 0) || !(s > 0) || math.IsInf(s, 0) {
			return fmt.Errorf("image_mean %v and image_std %v: channel %d cannot be normalised", p.Mean, p.Std, i)
		}
	}
	return nil
}

// Levels is how a level v of 0 to 255 becomes a number: (v·factor − mean)/std,
// per channel.
func (p *Preprocessor) Levels() (factor float64, mean, std []float32) {
	factor, mean, std = 1, p.Mean, p.Std
	if p.Rescale {
		factor = p.RescaleFactor
	}
	if !p.Normalize {
		mean, std = make([]float32, len(p.Mean)), slices.Repeat([]float32{1}, len(p.Std))
	}
	return factor, mean, std
}

// scaled is the preprocessor of a model whose images of rows×columns become to×to.
func (p *Preprocessor) scaled(rows, columns, to int) *Preprocessor {
	q := *p
	if !p.Crop {
		q.Width, q.Height = to, to
		return &q
	}
	q.CropSide, q.CropWide = to, 0
	for _, n := range []*int{&q.Height, &q.Shortest, &q.Longest} {
		*n = *n * to / rows
	}
	q.Width = q.Width * to / columns
	return &q
}
