package oip

import (
	"fmt"
)

// Spec checks a model's metadata and turns it into a Spec: one input FP32
// [N, C, H, W], one output FP32 [N, K] (of several, the one named logits).
// classes replaces a K that the model leaves open.
func (m *Metadata) Spec(classes int) (Spec, error) {
	s := Spec{Name: m.Name}
	if len(m.Inputs) != 1 {
		return s, fmt.Errorf("inputs has %d tensors, want one of images", len(m.Inputs))
	}
	in := m.Inputs[0]
	if in.Datatype != fp32 {
		return s, fmt.Errorf("inputs[0].datatype of %q is %q, want FP32", in.Name, in.Datatype)
	}
	if len(in.Shape) != 4 {
		return s, fmt.Errorf("inputs[0].shape of %q is %v, want [N, channels, height, width]", in.Name, in.Shape)
	}
	for _, d := range in.Shape[1:] {
		if d < 1 || d > 1<<16 {
			return s, fmt.Errorf("inputs[0].shape of %q is %v, want fixed channels, height and width", in.Name, in.Shape)
		}
	}
	s.Input, s.Channels, s.Height, s.Width = in.Name, int(in.Shape[1]), int(in.Shape[2]), int(in.Shape[3])
	p, err := in.meaning()
	if err != nil {
		return s, fmt.Errorf("inputs[0].parameters of %q: %w", in.Name, err)
	}
	if s.Last = p.last(in.Shape); s.Last {
		s.Height, s.Width, s.Channels = s.Channels, s.Height, s.Width
	}
	if s.Preprocessing, err = p.preprocessing(s.Channels); err != nil {
		return s, fmt.Errorf("inputs[0].parameters of %q: %w", in.Name, err)
	}
	if s.Channels > 64 || s.Pixels() > 1<<28 {
		return s, fmt.Errorf("inputs[0].shape of %q is %v: too large", in.Name, in.Shape)
	}
	switch n := in.Shape[0]; {
	case n == 1:
		s.MaxBatch = 1
	case n != -1:
		return s, fmt.Errorf("inputs[0].shape of %q is %v: a batch of exactly %d; want -1 or 1", in.Name, in.Shape, n)
	}
	i, err := m.output()
	if err != nil {
		return s, err
	}
	o := m.Outputs[i]
	s.Output = o.Name
	if o.Datatype != fp32 {
		return s, fmt.Errorf("outputs[%d].datatype of %q is %q, want FP32", i, o.Name, o.Datatype)
	}
	if len(o.Shape) != 2 || (o.Shape[0] != -1 && o.Shape[0] != in.Shape[0]) {
		return s, fmt.Errorf("outputs[%d].shape of %q is %v, want [N, classes]", i, o.Name, o.Shape)
	}
	switch k := o.Shape[1]; {
	case k == -1 && classes > 0:
		s.Classes = classes
	case k < 1 || k > 1<<24:
		return s, fmt.Errorf("outputs[%d].shape of %q is %v, which leaves the number of classes open", i, o.Name, o.Shape)
	default:
		s.Classes = int(k)
	}
	// names are a help: without them the classes have numbers
	if q, err := o.meaning(); err == nil && len(q.Labels) == s.Classes {
		s.Labels = q.Labels
	}
	return s, nil
}

func (m *Metadata) output() (int, error) {
	if len(m.Outputs) == 1 {
		return 0, nil
	}
	for i, o := range m.Outputs {
		if o.Name == usualOutput {
			return i, nil
		}
	}
	return 0, fmt.Errorf("outputs has %d tensors and none is named logits", len(m.Outputs))
}

// Metadata is what a Spec says of itself.
func (s Spec) Metadata() Metadata {
	n := int64(-1)
	if s.MaxBatch == 1 {
		n = 1
	}
	return Metadata{Name: s.Name, Versions: []string{theVersion}, Platform: "flops",
		Inputs: []TensorMeta{{Name: s.Input, Datatype: fp32, Shape: s.WireShape(n), Parameters: s.inputMeaning()}},
		Outputs: []TensorMeta{{Name: s.Output, Datatype: fp32, Shape: []int64{n, int64(s.Classes)},
			Parameters: s.outputMeaning()}}}
}

// CheckLogits refuses a shape that is not n×Classes. field names the tensor in
// the message.
func (s Spec) CheckLogits(field string, shape []int64, n int) error {
	if len(shape) != 2 || shape[0] != int64(n) || shape[1] != int64(s.Classes) {
		return fmt.Errorf("%s.shape is %v, want [%d %d]", field, shape, n, s.Classes)
	}
	return nil
}

// CheckFinite refuses logits with NaN or infinities.
func (s Spec) CheckFinite(field string, v []float32) error {
	if i := notFinite(v); i >= 0 {
		return fmt.Errorf("%s.data holds %v for image %d, class %d", field, v[i], i/s.Classes, i%s.Classes)
	}
	return nil
}
