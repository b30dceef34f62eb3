package hf

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzConfig: an accepted config is written as one that reads the same, and
// its layout does not overflow.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{`{}`, `{"hidden_size":4,"num_attention_heads":2,"id2label":{"0":"a","1":"b"},"x":[1]}`,
		`{"image_size":[32,32],"patch_size":4}`,
		`{"num_labels":1e9}`, `{"hidden_size":null,"qkv_bias":false}`, `{"size":{"height":4,"width":4},"image_mean":[1,2,3]}`, `{"size":{"shortest_edge":4},"do_center_crop":true}`,
		`{"image_processor_type":"DeiTImageProcessorFast","size":{"height":256,"width":240},"crop_size":224,"do_rescale":null,"image_std":2}`,
		`{"feature_extractor_type":"CLIPFeatureExtractor","size":{"shortest_edge":256,"longest_edge":400},"do_pad":false}`,
		`{"do_resize":false,"do_center_crop":false,"crop_size":{"height":3,"width":4},"resample":5}`,
		`{"architecture":"vit_base_patch16_224","model_args":{"img_size":[32,32],"mlp_ratio":2,"drop_rate":0.1},"pretrained_cfg":{"crop_pct":0.9,"std":[1,1,1]},"label_names":["a"]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := ParsePreprocessor(raw, DefaultConfig()); err == nil {
			roundTrip(t, p, func(b []byte) (any, error) { return ParsePreprocessor(b, DefaultConfig()) })
		}
		c, err := parseConfig(raw)
		if err != nil {
			return
		}
		for _, s := range c.Layout(len(c.Labels)) {
			n := 1
			for _, d := range s.Shape {
				if n *= d; n <= 0 {
					t.Fatalf("%s: %v overflows", s.Name, s.Shape)
				}
			}
		}
		roundTrip(t, c, func(b []byte) (any, error) { return parseConfig(b) })
	})
}

// roundTrip writes v, reads it, and writes it again to the same bytes.
func roundTrip(t *testing.T, v any, parse func([]byte) (any, error)) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%+v cannot be written: %v", v, err)
	}
	back, err := parse(b)
	if err != nil {
		t.Fatalf("%s cannot be read again: %v", b, err)
	}
	again, err := json.Marshal(back)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%s\nbecame\n%s (%v)", b, again, err)
	}
}
