package oip

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestMeaning: what other servers' metadata say of the pixels, and what is wrong
// with it.
func TestMeaning(t *testing.T) {
	for _, c := range []struct {
		shape, parameters string
		last              bool
		channels          int
		mean              []float32
		err               string
	}{
		{"[-1,3,8,8]", `{}`, false, 3, nil, ""},
		{"[-1,3,8,8]", `null`, false, 3, nil, ""},
		{"[-1,3,8,8]", `{"content_type":"np","mean":null}`, false, 3, nil, ""},
		{"[-1,8,8,3]", `{}`, true, 3, nil, ""},
		{"[-1,24,32,3]", `{}`, true, 3, nil, ""},
		{"[-1,8,8,1]", `{"layout":"channels_last"}`, true, 1, nil, ""},
		{"[-1,3,3,3]", `{"layout":"NHWC"}`, true, 3, nil, ""},
		{"[-1,3,3,3]", `{}`, false, 3, nil, ""},
		{"[-1,8,8,3]", `{"mean":[0.1,0.2,0.3],"std":[1,1,2]}`, true, 3, []float32{.1, .2, .3}, ""},
		{"[-1,3,8,8]", `{"mean":[0.1],"std":[1]}`, false, 3, nil, "1 numbers in mean"},
		{"[-1,3,8,8]", `{"mean":[0.1,0.2,0.3]}`, false, 3, nil, "0 in std"},
		{"[-1,3,8,8]", `{"mean":[0,0,0],"std":[1,0,1]}`, false, 3, nil, "std positive"},
		{"[-1,3,8,8]", `{"mean":"0.5"}`, false, 3, nil, "mean is"},
	} {
		doc := `{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":` + c.shape + `,"parameters":` + c.parameters +
			`}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,2],"parameters":{"labels":["no","yes"]}}]}`
		var m Metadata
		if err := json.Unmarshal([]byte(doc), &m); err != nil {
			t.Fatal(err)
		}
		s, err := m.Spec(0)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", doc, err, c.err)
			}
			continue
		}
		if err != nil || s.Last != c.last || s.Channels != c.channels || !slices.Equal(s.Labels, []string{"no", "yes"}) {
			t.Errorf("%s: %+v, %v", doc, s, err)
		}
		if (s.Preprocessing == nil) != (c.mean == nil) || s.Preprocessing != nil &&
			!slices.Equal(s.Preprocessing.Mean, c.mean) {
			t.Errorf("%s: %+v", doc, s.Preprocessing)
		}
		again := s.Metadata()
		if back, err := again.Spec(0); err != nil || back.Last != s.Last ||
			!reflect.DeepEqual(back.Preprocessing, s.Preprocessing) {
			t.Errorf("%s: written and read back it is %+v, %v", doc, back, err)
		}
	}
}

// lastChannels answers, as small does, requests whose channels stand together.
type lastChannels struct{ linear }

func (l lastChannels) Logits(ctx context.Context, x []float32, n int) ([]float32, error) {
	s := l.spec
	planes := make([]float32, len(x))
	for i := range x {
		image, p, c := i/s.Pixels(), i%s.Pixels()/s.Channels, i%s.Channels
		planes[image*s.Pixels()+c*s.Height*s.Width+p] = x[i]
	}
	return l.linear.Logits(ctx, planes, n)
}

// TestChannelsLast: pixels are sent in the order that the metadata ask for.
func TestChannelsLast(t *testing.T) {
	m := lastChannels{linear{Spec{Name: "lin", Channels: 3, Height: 4, Width: 4, Classes: 3, Last: true}}}
	h, err := NewHandler(m)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	c := open(t, Endpoint{URL: srv.URL, Name: "lin"})
	x, out := make([]float32, 5*48), make([]float32, 15)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	if err := c.Call(context.Background(), x, 5, out); err != nil {
		t.Fatal(err)
	}
	want, _ := m.linear.Logits(context.Background(), x, 5)
	if !slices.Equal(out, want) {
		t.Errorf("%v, want %v", out, want)
	}
}

// TestTensorsFromTheConfig: a server that describes no tensors is called with
// what the config says, which is told; without it the error names both ways out.
func TestTensorsFromTheConfig(t *testing.T) {
	silent := &Metadata{Name: "m"}
	var said []string
	s, err := silent.completed(Given{Shape: []int{3, 8, 8}}, func(l string) { said = append(said, l) }).Spec(5)
	if err != nil || s.Input != usualInput || s.Output != usualOutput || s.Channels != 3 || s.Height != 8 ||
		s.Classes != 5 {
		t.Errorf("%+v, %v", s, err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "describe no tensors") {
		t.Errorf("said %q", said)
	}
	if _, err := silent.completed(Given{}, nil).Spec(5); err == nil {
		t.Error("a model without tensors was taken")
	}
}
