package checkpoint

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestConfigDefaults(t *testing.T) {
	c, err := parseConfig([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.HiddenSize != 768 || c.NumLayers != 12 || c.NumHeads != 12 || c.IntermediateSize != 3072 || c.ImageSize != 224 || c.PatchSize != 16 ||
		c.NumChannels != 3 || !c.QKVBias || c.LayerNormEps != 1e-12 || c.Labels != nil {
		t.Errorf("%+v", c)
	}
	c, err = parseConfig([]byte(`{"image_size":[384,384],"num_labels":3,"qkv_bias":false,"layer_norm_eps":1e-6,"Hidden_Size":5,"hidden_size":1024,"num_attention_heads":16}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.ImageSize != 384 || !slices.Equal(c.Labels, []string{"LABEL_0", "LABEL_1", "LABEL_2"}) || c.QKVBias || c.LayerNormEps != 1e-6 || c.HiddenSize != 1024 {
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
	for _, want := range []string{`"weird":{"b":[1,2.50],"a":null}`, `"hidden_dropout_prob":0.1`, `"id2label":{"0":"crane","1":"crane"}`, `"label2id":{"crane":1}`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
	if again, err := parseConfig(b); err != nil || !slices.Equal(again.Labels, c.Labels) {
		t.Error(err)
	}
}

func TestBadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), configName)
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
		`{"image_size":225}`:          "image_size 225",
		`{"image_size":[224,256]}`:    "square",
		`{"image_size":[224]}`:        "square",
		`{"image_size":65536,"patch_size":1,"hidden_size":12}`: "patches",
		`{"num_channels":65536}`:                               "num_channels",
		`{"layer_norm_eps":-1}`:                                "layer_norm_eps",
		`{"hidden_act":"relu"}`:                                "relu",
		`{"model_type":"deit"}`:                                "deit",
		`{"num_labels":1152921504606846976}`:                   "num_labels",
		`{"num_labels":-1}`:                                    "num_labels",
		`{"id2label":{"0":"a","2":"b"}}`:                       "class 1",
		`{"id2label":{"0":1}}`:                                 "id2label",
		`{"id2label":["a"]}`:                                   "id2label",
		`{"a":1,"a":2}`:                                        "twice",
		`{} {}`:                                                "after",
		`{"a":` + strings.Repeat("[", 100000) + `}`:            "a",
	} {
		write(t, path, []byte(in))
		var err error
		n := allocated(func() { _, err = ReadConfig(path) })
		wantMistake(t, err, path, says)
		if n > 1<<22 {
			t.Errorf("%s: %d bytes allocated", clip(in), n)
		}
	}
	_, err := ReadConfig(filepath.Join(t.TempDir(), "absent"))
	wantMistake(t, err, "absent")
}

func TestPreprocessor(t *testing.T) {
	c := DefaultConfig()
	old, err := parsePreprocessor([]byte(`{"do_normalize":true,"do_resize":true,"feature_extractor_type":"ViTFeatureExtractor","image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],"resample":2,"size":224}`), c)
	if err != nil {
		t.Fatal(err)
	}
	if old.Size != 224 || old.Resample != 2 || old.ShortestEdge != 0 || old.RescaleFactor != 1.0/255 {
		t.Errorf("%+v", old)
	}
	b, err := json.Marshal(old)
	if err != nil || strings.Contains(string(b), "feature_extractor") || !strings.Contains(string(b), `"size":{"height":224,"width":224}`) {
		t.Errorf("%s %v", b, err)
	}
	crop, err := parsePreprocessor([]byte(`{"size":{"shortest_edge":256},"do_center_crop":true,"crop_size":{"height":224,"width":224},"image_mean":[0.485,0.456,0.406],"image_std":[0.229,0.224,0.225],"resample":3,"mine":[1]}`), c)
	if err != nil {
		t.Fatal(err)
	}
	if crop.Size != 224 || crop.ShortestEdge != 256 || crop.Resample != 3 || crop.Mean[0] != 0.485 {
		t.Errorf("%+v", crop)
	}
	if b, err = json.Marshal(crop); err != nil || !strings.Contains(string(b), `"mine":[1]`) {
		t.Errorf("%s %v", b, err)
	}
	again, err := parsePreprocessor(b, c)
	if err != nil || again.Size != 224 || again.ShortestEdge != 256 {
		t.Errorf("%+v %v", again, err)
	}
	if p, err := ReadPreprocessor(filepath.Join(t.TempDir(), "absent"), c); err != nil || p.Size != 224 || len(p.Mean) != 3 {
		t.Errorf("%+v %v", p, err)
	}
	for in, says := range map[string]string{
		`{"image_mean":[0.5]}`:                       "image_mean",
		`{"image_std":[1,0,1]}`:                      "channel 1",
		`{"size":{"height":1,"width":2}}`:            "square",
		`{"size":{"shortest_edge":256}}`:             "shortest_edge",
		`{"size":-4}`:                                "size",
		`{"resample":9}`:                             "resample",
		`{"rescale_factor":0}`:                       "rescale_factor",
		`{"size":[1,2,3]}`:                           "square",
		`{"do_resize":"yes"}`:                        "do_resize",
		`{"image_mean":[1e300,1,1]}`:                 "image_mean",
		`{"size":{"height":4,"height":4,"width":4}}`: "twice",
	} {
		path := filepath.Join(t.TempDir(), preprocessorName)
		write(t, path, []byte(in))
		_, err := ReadPreprocessor(path, c)
		wantMistake(t, err, path, says)
	}
}

// TestNormalization: whatever the rescale factor, a pixel comes out the same.
func TestNormalization(t *testing.T) {
	for _, in := range []string{`{}`, `{"do_rescale":false}`, `{"rescale_factor":0.00784313725490196}`, `{"do_normalize":false}`} {
		p, err := parsePreprocessor([]byte(in), DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		mean, std := p.Normalization()
		const pixel = 200.0
		want := pixel * p.RescaleFactor
		if p.Normalize {
			want = (want - 0.5) / 0.5
		}
		got := (pixel/255 - float64(mean[1])) / float64(std[1])
		if math.Abs(got-want) > 1e-5*math.Abs(want) {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
	}
}
