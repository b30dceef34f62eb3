package hf

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/testkit"
)

func TestConfigDefaults(t *testing.T) {
	c, err := parseConfig([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.HiddenSize != 768 || c.NumLayers != 12 || c.NumHeads != 12 || c.IntermediateSize != 3072 || c.ImageSize != 224 ||
		c.PatchSize != 16 || c.NumChannels != 3 || !c.QKVBias || c.LayerNormEps != 1e-12 || c.Labels != nil {
		t.Errorf("%+v", c)
	}
	c, err = parseConfig([]byte(`{"image_size":[384,384],"num_labels":3,"qkv_bias":false,"layer_norm_eps":1e-6,"Hidden_Size":5,"hidden_size":1024,"num_attention_heads":16}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.ImageSize != 384 || !slices.Equal(c.Labels, []string{"LABEL_0", "LABEL_1", "LABEL_2"}) || c.QKVBias ||
		c.LayerNormEps != 1e-6 || c.HiddenSize != 1024 {
		t.Errorf("%+v", c)
	}
}

func TestConfigKeepsUnknownKeys(t *testing.T) {
	in := `{"model_type":"vit","weird":{"b":[1,2.50],"a":null},"hidden_dropout_prob":0.1,"id2label":{"1":"crane","0":"crane"},"label2id":{"crane":0}}`
	c, err := parseConfig([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"weird":{"b":[1,2.50],"a":null}`, `"hidden_dropout_prob":0.1`,
		`"id2label":{"1":"crane","0":"crane"}`, `"label2id":{"crane":1}`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
	if again, err := parseConfig(b); err != nil || !slices.Equal(again.Labels, c.Labels) {
		t.Error(err)
	}
}

func TestBadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), ConfigName)
	for in, says := range map[string]string{
		``:                            "JSON",
		`[]`:                          "where",
		`{"hidden_size":"768"}`:       "hidden_size",
		`{"hidden_size":768.5}`:       "hidden_size",
		`{"hidden_size":1e99}`:        "hidden_size",
		`{"hidden_size":100}`:         "num_attention_heads",
		`{"hidden_size":-768}`:        "-768",
		`{"num_hidden_layers":10000}`: "num_hidden_layers",
		`{"num_attention_heads":0}`:   "num_attention_heads",
		`{"image_size":15}`:           "image_size 15",
		`{"image_size":[224,8]}`:      "image_size 8",
		`{"image_size":[224]}`:        "square",
		`{"image_size":65536,"patch_size":1,"hidden_size":12}`: "patches",
		`{"num_channels":65536}`:                               "num_channels",
		`{"layer_norm_eps":-1}`:                                "layer_norm_eps",
		`{"hidden_act":"mish"}`:                                "mish",
		`{"model_type":"swin"}`:                                "swin",
		`{"model_type":"siglip2"}`:                             "naflex",
		`{"quantization_config":{}}`:                           "quantised",
		`{"num_labels":1152921504606846976}`:                   "num_labels",
		`{"num_labels":-1}`:                                    "num_labels",
		`{"id2label":{"0":"a","2":"b"}}`:                       "class 1",
		`{"id2label":{"0":1}}`:                                 "id2label",
		`{"id2label":["a"]}`:                                   "id2label",
		`{"a":1,"a":2}`:                                        "twice",
		`{} {}`:                                                "after",
		`{"a":` + strings.Repeat("[", 100000) + `}`:            "a",
	} {
		testkit.Write(t, path, []byte(in))
		var err error
		n := testkit.Allocated(func() { _, err = ReadConfig(path) })
		testkit.Mistake(t, err, path, says)
		if n > 1<<22 {
			t.Errorf("%s: %d bytes allocated", jsonobj.Clip(in), n)
		}
	}
	_, err := ReadConfig(filepath.Join(t.TempDir(), "absent"))
	testkit.Mistake(t, err, "absent")
}

func TestPreprocessor(t *testing.T) {
	c := DefaultConfig()
	old, err := ParsePreprocessor([]byte(`{"do_normalize":true,"do_resize":true,"feature_extractor_type":"ViTFeatureExtractor","image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],"resample":2,"size":224}`), c)
	if err != nil {
		t.Fatal(err)
	}
	if old.Width != 224 || old.Side() != 224 || old.Resample != 2 || old.Crop || old.RescaleFactor != 1.0/255 {
		t.Errorf("%+v", old)
	}
	b, err := json.Marshal(old)
	if err != nil || strings.Contains(string(b), "feature_extractor") ||
		!strings.Contains(string(b), `"size":{"height":224,"width":224}`) {
		t.Errorf("%s %v", b, err)
	}
	crop, err := ParsePreprocessor([]byte(`{"size":{"shortest_edge":256},"do_center_crop":true,"crop_size":{"height":224,"width":224},"image_mean":[0.485,0.456,0.406],"image_std":[0.229,0.224,0.225],"resample":3,"mine":[1]}`), c)
	if err != nil {
		t.Fatal(err)
	}
	if crop.Side() != 224 || crop.Shortest != 256 || crop.Resample != 3 || crop.Mean[0] != 0.485 {
		t.Errorf("%+v", crop)
	}
	if b, err = json.Marshal(crop); err != nil || !strings.Contains(string(b), `"mine":[1]`) ||
		!strings.Contains(string(b), `"image_processor_type":"CLIPImageProcessor"`) { // a ViT's may not read an edge
		t.Errorf("%s %v", b, err)
	}
	again, err := ParsePreprocessor(b, c)
	if err != nil || again.Side() != 224 || again.Shortest != 256 {
		t.Errorf("%+v %v", again, err)
	}
	if p, err := ReadPreprocessor(filepath.Join(t.TempDir(), "absent"), c); err != nil || p.Side() != 224 ||
		len(p.Mean) != 3 {
		t.Errorf("%+v %v", p, err)
	}
	for in, says := range map[string]string{
		`{"image_mean":[0.5]}`:                        "image_mean",
		`{"image_std":[1,0,1]}`:                       "channel 1",
		`{"size":{"height":1,"width":2}}`:             "image_size",
		`{"size":{"shortest_edge":256}}`:              "shortest_edge",
		`{"size":-4}`:                                 "size",
		`{"resample":9}`:                              "resample",
		`{"rescale_factor":0}`:                        "rescale_factor",
		`{"size":[1,2,3]}`:                            "3 numbers",
		`{"size":{"longest_edge":256}}`:               "longest_edge",
		`{"size":{"height":224,"shortest_edge":224}}`: "shortest_edge",
		`{"size":{"height":224}}`:                     "height",
		`{"size":0}`:                                  "size",
		`{"do_center_crop":true}`:                     "crop_size",
		`{"do_center_crop":true,"crop_size":{"height":224,"width":200}}`: "image_size",
		`{"size":{"height":32,"width":32}}`:                              "32×32",
		`{"do_center_crop":true,"crop_size":32}`:                         "image_size in config.json is 224",
		`{"do_pad":true}`:                                                "do_pad",
		`{"do_flip_channel_order":true}`:                                 "do_flip_channel_order",
		`{"rescale_offset":true}`:                                        "rescale_offset",
		`{"do_thumbnail":true,"do_convert_rgb":true}`:                    "do_thumbnail",
		`{"image_processor_type":"LevitImageProcessor"}`:                 "LevitImageProcessor",
		`{"feature_extractor_type":"LevitFeatureExtractor"}`:             "LevitFeatureExtractor",
		`{"image_processor_type":7}`:                                     "image_processor_type",
		`{"do_resize":"yes"}`:                                            "do_resize",
		`{"image_mean":[1e300,1,1]}`:                                     "image_mean",
		`{"size":{"height":4,"height":4,"width":4}}`:                     "twice",
	} {
		path := filepath.Join(t.TempDir(), PreprocessorName)
		testkit.Write(t, path, []byte(in))
		_, err := ReadPreprocessor(path, c)
		testkit.Mistake(t, err, path, says)
	}
}

// TestLevels: the factor and the normalisation are each applied once.
func TestLevels(t *testing.T) {
	for in, want := range map[string]float64{
		`{}`:                                     (200/255.0 - 0.5) / 0.5,
		`{"do_rescale":false}`:                   (200 - 0.5) / 0.5,
		`{"do_rescale":null}`:                    (200 - 0.5) / 0.5,
		`{"rescale_factor":0.00784313725490196}`: (200/127.5 - 0.5) / 0.5,
		`{"do_normalize":false}`:                 200 / 255.0,
		`{"image_mean":0.25,"image_std":2}`:      (200/255.0 - 0.25) / 2,
	} {
		p, err := ParsePreprocessor([]byte(in), DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		factor, mean, std := p.Levels()
		if got := (200*factor - float64(mean[2])) / float64(std[2]); math.Abs(got-want) > 1e-6*math.Abs(want) {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
	}
}

// TestStepsThatChangeNothing are accepted.
func TestStepsThatChangeNothing(t *testing.T) {
	in := `{"do_pad":false,"do_thumbnail":null,"do_convert_rgb":true,"do_reduce_labels":true,"do_center_crop":null,"crop_size":null,"pad_size":null}`
	p, err := ParsePreprocessor([]byte(in), DefaultConfig())
	if err != nil || p.Crop {
		t.Errorf("%+v %v", p, err)
	}
}
