package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// ConfigName is the file that says what a folder's network is.
const ConfigName = "config.json"

// The ProblemTypes whose logits are no choice of one class: the classes do not
// exclude one another, or the logits are the answer themselves.
const (
	MultiLabel = "multi_label_classification"
	Regression = "regression"
)

// Config is the config.json of a model folder. All keys that came are kept and
// written back.
type Config struct {
	HiddenSize       int
	NumLayers        int
	NumHeads         int
	IntermediateSize int
	ImageSize        int // rows of pixels
	ImageWidth       int // columns of pixels; 0: as many as rows
	PatchSize        int
	NumChannels      int
	LayerNormEps     float64
	QKVBias          bool
	Labels           []string // name of each class; nil where the model has no classifier
	// ProblemType is what the logits mean: single_label_classification (or empty),
	// multi_label_classification or regression.
	ProblemType string

	// Act is the activation function of the feed-forward layers.
	Act vit.Act
	// Projected is the width of a CLIP tower's projection, 0 without one.
	Projected int

	net       vit.Encoder // its switches; the sizes are those above
	ratio     float64     // of DINOv2: width of the feed-forward layer by that of a token
	scaleInit float64     // of BEiT
	family    *family     // of networks; nil: plain ViTs
	actName   string      // of the activation function in the file, "" where it does not say
	class     string      // of transformers, that the folder came with
	modelType string
	pool      string // of timm
	poolLead  bool   // of timm
	tower     string // key that the sizes stand below, "" where they stand at the top
	bare      bool   // the tensors came without the prefix of the network
	hasPooler bool
	view      string // layer that the outputs are, "" where they are those of the network

	raw   map[string]json.RawMessage // every key that came
	input *Preprocessor              // where the config itself says how images are prepared
	grown *grown                     // positions before they were interpolated
}

// DefaultConfig is what transformers.ViTConfig assumes of keys that a
// config.json leaves out (the ViT-B/16 of arXiv 2010.11929 at 224 pixels).
func DefaultConfig() *Config {
	return &Config{HiddenSize: 768, NumLayers: 12, NumHeads: 12, IntermediateSize: 3072,
		ImageSize: 224, PatchSize: 16, NumChannels: 3, LayerNormEps: 1e-12, QKVBias: true, Act: vit.GELU,
		net: vit.ViT(vit.Arch{})}
}

// Patches is the number of patches of an image.
func (c *Config) Patches() int { return c.ImageSize / c.PatchSize * (c.Columns() / c.PatchSize) }

// Columns is the width of an image in pixels.
func (c *Config) Columns() int {
	if c.ImageWidth > 0 {
		return c.ImageWidth
	}
	return c.ImageSize
}

// ReadConfig reads the config.json of a model folder. A config that is not a
// ViT's, or that makes no sense, is an *uierr.Error.
func ReadConfig(path string) (*Config, error) {
	raw, err := fsys.ReadSmall(path, jsonobj.MaxFile)
	if err != nil {
		return nil, fsys.ReadError(err, path)
	}
	c, err := parseConfig(raw)
	if err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err),
			"a config.json of one of these is needed: "+familyNames())
	}
	return c, nil
}

func parseConfig(raw []byte) (*Config, error) {
	m, err := jsonobj.Raw(raw)
	if err != nil {
		return nil, err
	}
	c := DefaultConfig()
	c.raw, m = m, maps.Clone(m)
	if c.family = familyOf(m); c.family == nil {
		kind := ""
		if err := take(m, "model_type", &kind); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("model_type is %q, which is no network that is known", jsonobj.Clip(kind))
	}
	for _, key := range []string{"quantization_config", "compression_config"} { // such tensors are no plain numbers
		if raw := m[key]; len(raw) > 0 && string(raw) != "null" {
			return nil, fmt.Errorf("%s: a model of quantised or sparse tensors, which are not read: save it in float32, "+
				"float16 or bfloat16", key)
		}
	}
	var classes []string
	if err := takeAll(m, map[string]any{"architectures": &classes, "model_type": &c.modelType}); err != nil {
		return nil, err
	}
	if len(classes) > 0 {
		c.class = classes[0]
	}
	return c, c.family.read(c, m)
}

// readSizes reads the keys that most of transformers' vision models have alike.
func (c *Config) readSizes(m map[string]json.RawMessage) error {
	for key, dst := range c.sizes() {
		if err := take(m, key, dst); err != nil {
			return err
		}
	}
	if err := takePair(m, "image_size", &c.ImageSize, &c.ImageWidth); err != nil {
		return err
	}
	across := 0
	if err := takePair(m, "patch_size", &c.PatchSize, &across); err != nil {
		return err
	}
	if across != 0 {
		return fmt.Errorf("patch_size: %d by %d is not square", c.PatchSize, across)
	}
	return take(m, "layer_norm_eps", &c.LayerNormEps)
}

// readTask reads what the logits mean, and checks the whole.
func (c *Config) readTask(m map[string]json.RawMessage) error {
	if err := take(m, "problem_type", &c.ProblemType); err != nil {
		return err
	}
	if !slices.Contains([]string{"", "single_label_classification", MultiLabel, Regression}, c.ProblemType) {
		return fmt.Errorf("problem_type is %q; single_label_classification, %s and %s are known", jsonobj.Clip(c.ProblemType),
			MultiLabel, Regression)
	}
	if err := c.readLabels(m); err != nil {
		return err
	}
	return c.Check()
}

// sizes are the whole numbers of the config by key.
func (c *Config) sizes() map[string]*int {
	return map[string]*int{"hidden_size": &c.HiddenSize, "num_hidden_layers": &c.NumLayers,
		"num_attention_heads": &c.NumHeads, "intermediate_size": &c.IntermediateSize, "num_channels": &c.NumChannels}
}

// readLabels turns id2label, or failing that num_labels, into names.
func (c *Config) readLabels(m map[string]json.RawMessage) error {
	var count *int
	if err := take(m, "num_labels", &count); err != nil {
		return err
	}
	raw, ok := m["id2label"]
	if !ok || string(raw) == "null" {
		if count == nil {
			return nil
		}
		if *count < 1 || *count > maxSize {
			return fmt.Errorf("num_labels is %d", *count)
		}
		c.Labels = NumberedLabels(*count)
		return nil
	}
	byKey := map[string]string{}
	err := jsonobj.Each(raw, func(key string, d *json.Decoder) (err error) {
		byKey[key], err = jsonobj.Text(d)
		return err
	})
	if err != nil {
		return fmt.Errorf("id2label: %w", err)
	}
	c.Labels = make([]string, len(byKey))
	for i := range c.Labels {
		name, ok := byKey[strconv.Itoa(i)]
		if !ok {
			return fmt.Errorf("id2label: no label of class %d, with %d labels", i, len(byKey))
		}
		c.Labels[i] = name
	}
	if len(c.Labels) == 0 {
		c.Labels = nil
	}
	return nil
}

// NumberedLabels are the names that transformers gives classes without any.
func NumberedLabels(n int) []string {
	l := make([]string, n)
	for i := range l {
		l[i] = "LABEL_" + strconv.Itoa(i)
	}
	return l
}

// maxSize bounds every size of a config, so that products of a few of them
// cannot overflow.
const maxSize = 1 << 16

// Check refuses sizes that are no vision transformer.
func (c *Config) Check() error {
	for _, v := range []struct {
		key string
		n   int
	}{{"hidden_size", c.HiddenSize}, {"num_hidden_layers", c.NumLayers}, {"num_attention_heads", c.NumHeads},
		{"intermediate_size", c.IntermediateSize}, {"image_size", c.ImageSize}, {"image_size", c.Columns()},
		{"patch_size", c.PatchSize},
		{"num_channels", c.NumChannels}} {
		if v.n < 1 || v.n > maxSize {
			return fmt.Errorf("%s is %d", v.key, v.n)
		}
	}
	switch {
	case c.NumLayers > 500:
		return fmt.Errorf("num_hidden_layers is %d; at most 500 are allowed", c.NumLayers)
	case c.NumChannels > 1024:
		return fmt.Errorf("num_channels is %d; at most 1024 are allowed", c.NumChannels)
	case c.HiddenSize%c.NumHeads != 0:
		return fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.NumHeads)
	case min(c.ImageSize, c.Columns()) < c.PatchSize:
		return fmt.Errorf("image_size %d holds no patch of patch_size %d", min(c.ImageSize, c.Columns()), c.PatchSize)
	case c.Patches() >= maxSize:
		return fmt.Errorf("image_size %d with patch_size %d makes %d patches", c.ImageSize, c.PatchSize, c.Patches())
	case !(c.LayerNormEps >= 0) || math.IsInf(c.LayerNormEps, 0):
		return errors.New("layer_norm_eps is not a number of 0 or more")
	}
	return nil
}
