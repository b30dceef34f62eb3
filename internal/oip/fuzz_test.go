package oip

import (
	"encoding/json"
	"testing"
)

// FuzzMetadata: whatever a server says of its model, the model is refused or has a
// size, and its preprocessing a number per channel.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[-1,3,4,4],`+
		`"parameters":{"mean":[1,2,3],"std":[1,1,1]}}],"outputs":[{"name":"logits","datatype":"FP32","shape":[-1,5],"parameters":{"labels":["a"]}}]}`), 0)
	f.Add([]byte(`{"inputs":[{"shape":[1,4,4,3],"datatype":"FP32","parameters":{"layout":"NHWC"}}],`+
		`"outputs":[{"shape":[-1,-1]}]}`), 3)
	f.Add([]byte(`{"inputs":[{"shape":[9223372036854775807,3,9223372036854775807,2]}],"outputs":[]}`), -1)
	f.Fuzz(func(t *testing.T, raw []byte, classes int) {
		var m Metadata
		if json.Unmarshal(raw, &m) != nil {
			return
		}
		s, err := m.completed(Given{}, func(string) {}).Spec(classes)
		if err != nil {
			return
		}
		if s.Channels < 1 || s.Height < 1 || s.Width < 1 || s.Classes < 1 || s.Pixels() < 1 {
			t.Fatalf("%d×%d×%d and %d classes were accepted", s.Channels, s.Height, s.Width, s.Classes)
		}
		p := s.Preprocessing
		if p != nil && (len(p.Mean) != s.Channels || len(p.Std) != s.Channels) && len(p.Mean)+len(p.Std) > 0 {
			t.Fatalf("%d means and %d deviations for %d channels", len(p.Mean), len(p.Std), s.Channels)
		}
	})
}
