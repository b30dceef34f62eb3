package oip

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// TensorMeta is a tensor as a model's metadata describe it. The protocol leaves
// its parameters open; what ours say of the pixels stands in tensorMeaning.
type TensorMeta struct {
	Name       string          `json:"name"`
	Shape      []int64         `json:"shape"`
	Datatype   string          `json:"datatype"`
	Parameters json.RawMessage `json:"parameters,omitempty"`
}

// tensorMeaning is what a tensor's parameters may say of its numbers.
type tensorMeaning struct {
	Layout string    `json:"layout,omitempty"` // of an input: NCHW or NHWC
	Mean   []float64 `json:"mean,omitempty"`   // of an input, with Std: levels of 0 to 1, per channel
	Std    []float64 `json:"std,omitempty"`
	Labels []string  `json:"labels,omitempty"` // of an output: names of the classes

	Preprocessor json.RawMessage `json:"preprocessor,omitempty"` // of an input: a preprocessor_config.json
}

// meaning reads a tensor's parameters. Other servers put keys of their own
// there, which say nothing to us.
func (t *TensorMeta) meaning() (m tensorMeaning, err error) {
	if len(t.Parameters) == 0 || t.Parameters[0] != '{' {
		return m, nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(t.Parameters, &keys); err != nil {
		return m, err
	}
	for key, to := range map[string]any{"layout": &m.Layout, "mean": &m.Mean, "std": &m.Std, "labels": &m.Labels,
		"preprocessor": &m.Preprocessor} {
		if raw, ok := keys[key]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return m, fmt.Errorf("%s is %.60s", key, raw)
			}
		}
	}
	return m, nil
}

// last says whether the channels of a pixel stand together: as the layout
// says, else where only the shape's end can be a number of channels.
func (m tensorMeaning) last(shape []int64) bool {
	switch strings.ToUpper(m.Layout) {
	case "NHWC", "FORMAT_NHWC", "CHANNELS_LAST":
		return true
	case "NCHW", "FORMAT_NCHW", "CHANNELS_FIRST":
		return false
	}
	few := func(d int64) bool { return d == 1 || d == 3 }
	return few(shape[3]) && !few(shape[1])
}

// preprocessing checks the normalisation; nil where none is told.
func (m tensorMeaning) preprocessing(channels int) (*Preprocessing, error) {
	if m.Mean == nil && m.Std == nil {
		return nil, nil
	}
	if len(m.Mean) != channels || len(m.Std) != channels {
		return nil, fmt.Errorf("%d numbers in mean and %d in std for %d channels", len(m.Mean), len(m.Std), channels)
	}
	p := &Preprocessing{File: m.Preprocessor}
	for c := range channels {
		mean, std := float32(m.Mean[c]), float32(m.Std[c])
		if !(std > 0) || math.IsInf(float64(std), 0) || math.IsInf(float64(mean), 0) {
			return nil, errors.New("mean and std must be finite, and std positive")
		}
		p.Mean, p.Std = append(p.Mean, mean), append(p.Std, std)
	}
	return p, nil
}

// inputMeaning is what a Spec tells of its pixels.
func (s Spec) inputMeaning() json.RawMessage {
	m := tensorMeaning{Layout: "NCHW"}
	if s.Last {
		m.Layout = "NHWC"
	}
	if p := s.Preprocessing; p != nil {
		m.Mean, m.Std, m.Preprocessor = short(p.Mean), short(p.Std), p.File
	}
	return document(m)
}

// outputMeaning is what a Spec tells of its classes.
func (s Spec) outputMeaning() json.RawMessage {
	if len(s.Labels) == 0 {
		return nil
	}
	return document(tensorMeaning{Labels: s.Labels})
}

// short is each number with the fewest digits that read back as the same float32.
func short(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		// The shortest text of a float32 is a number's text, so both calls succeed.
		b, _ := json.Marshal(x)
		_ = json.Unmarshal(b, &out[i])
	}
	return out
}

func document(m tensorMeaning) json.RawMessage {
	b, _ := json.Marshal(m) // of names and finite numbers it cannot fail
	return b
}

// WireShape is the shape of n images on the wire.
func (s Spec) WireShape(n int64) []int64 {
	if s.Last {
		return []int64{n, int64(s.Height), int64(s.Width), int64(s.Channels)}
	}
	return []int64{n, int64(s.Channels), int64(s.Height), int64(s.Width)}
}

// Arranged are n images, given in planes, in the order of the wire.
func (s Spec) Arranged(images []float32, n int) []float32 {
	if !s.Last || s.Channels == 1 {
		return images
	}
	out, plane := make([]float32, len(images)), s.Height*s.Width
	for i := range n {
		from, to := images[i*s.Pixels():], out[i*s.Pixels():]
		for c := range s.Channels {
			for p := range plane {
				to[p*s.Channels+c] = from[c*plane+p]
			}
		}
	}
	return out
}

// Given are the tensors of a model whose metadata name none, as MLServer's
// runtimes do that declare no inputs and outputs.
type Given struct {
	Input, Output string // names; empty: pixel_values and logits
	Shape         []int  // channels, height and width; empty: nothing is given
}

// completed are the metadata with what the config gives where they are silent.
func (m *Metadata) completed(g Given, log func(string)) *Metadata {
	if len(g.Shape) != 3 || (len(m.Inputs) > 0 && len(m.Outputs) > 0) {
		return m
	}
	c := *m
	orElse := func(name, usual string) string {
		if name == "" {
			return usual
		}
		return name
	}
	if len(m.Inputs) == 0 {
		c.Inputs = []TensorMeta{{Name: orElse(g.Input, usualInput), Datatype: fp32,
			Shape: []int64{-1, int64(g.Shape[0]), int64(g.Shape[1]), int64(g.Shape[2])}}}
	}
	if len(m.Outputs) == 0 {
		c.Outputs = []TensorMeta{{Name: orElse(g.Output, usualOutput), Datatype: fp32, Shape: []int64{-1, -1}}}
	}
	if log != nil {
		log(fmt.Sprintf("model %s: its metadata describe no tensors; taken from the config: input %s %v, output %s",
			m.Name, c.Inputs[0].Name, c.Inputs[0].Shape, c.Outputs[0].Name))
	}
	return &c
}
