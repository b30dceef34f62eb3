package train

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/prompt"
)

// told is the model sums with metadata of its own.
type told struct {
	sums
	labels    []string
	mean, std []float32
	file      string
}

func (m told) Spec() oip.Spec {
	s := m.sums.Spec()
	s.Name, s.Labels = "told", m.labels
	if m.mean != nil {
		s.Preprocessing = &oip.Preprocessing{Mean: m.mean, Std: m.std}
		if m.file != "" {
			s.Preprocessing.File = json.RawMessage(m.file)
		}
	}
	return s
}

// calledConfig is an experiment on four classes of shapes with the model behind url.
func calledConfig(url string) config.Config {
	c := config.Origin()
	c.Model.Kind, c.Model.URL, c.Model.Name, c.Model.Retries, c.Model.Timeout = "remote", url, "told", 1, "500ms"
	c.Data.Kind, c.Data.Size, c.Data.Count, c.Data.TestCount = "shapes", 16, 32, 16
	c.Prompt.Kind, c.Prompt.Width, c.Prompt.Mapping.Kind = "frame", 2, "identity"
	c.Sites = config.Sites{Blocks: "none"}
	c.Estimator.Name, c.Train.Device, c.Train.BatchSize = "weight", "cpu", 8
	c.Allocator.Name = "neyman"
	return c
}

// TestCalledModelSaysItsPixels: a called model gets pixels normalised as its
// metadata say; what is assumed where they say nothing is told; and the config
// overrides both.
func TestCalledModelSaysItsPixels(t *testing.T) {
	mean, std := []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225}
	for _, c := range []struct {
		name       string
		model      told
		override   []float32
		mean       []float32
		assumption bool
	}{
		{"the metadata's", told{mean: mean, std: std}, nil, mean, false},
		{"assumed", told{}, nil, []float32{.5, .5, .5}, true},
		{"the config's", told{mean: mean, std: std}, []float32{.1, .2, .3}, []float32{.1, .2, .3}, false},
	} {
		_, url := serveModel(t, c.model)
		cfg := calledConfig(url)
		cfg.Data.Mean = c.override
		var said []string
		x, err := Open(cfg, func(l string) { said = append(said, l) })
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := x.remote.transform.Normalization(); !slices.Equal(got, c.mean) {
			t.Errorf("%s: mean %v, want %v", c.name, got, c.mean)
		}
		assumed := slices.ContainsFunc(said, func(l string) bool { return strings.Contains(l, "does not say how its pixels are normalised") })
		if assumed != c.assumption {
			t.Errorf("%s: said %q", c.name, said)
		}
		x.Close()
	}
}

// TestCalledModelsClassesAreMatchedByName: in whatever order the model has them;
// half of them is an error, none is told.
func TestCalledModelsClassesAreMatchedByName(t *testing.T) {
	_, url := serveModel(t, told{})
	x, err := Open(calledConfig(url), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Clone(x.TrainData.Classes())
	x.Close()
	turned := slices.Clone(names)
	slices.Reverse(turned)
	for len(turned) < (sums{}).Spec().Classes {
		turned = append(turned, "another")
	}

	_, url = serveModel(t, told{labels: turned})
	if x, err = Open(calledConfig(url), func(string) {}); err != nil {
		t.Fatal(err)
	}
	to := x.remote.model.Mapping().(*prompt.OneToOne).To
	for i := range names {
		if turned[to[i]] != names[i] {
			t.Errorf("class %s is answered by %s", names[i], turned[to[i]])
		}
	}
	x.Close()

	half := slices.Clone(turned)
	half[0] = "something else"
	_, url = serveModel(t, told{labels: half})
	if _, err = Open(calledConfig(url), func(string) {}); err == nil || !strings.Contains(err.Error(), "has no class "+turned[0]) {
		t.Errorf("half of the classes: %v", err)
	}

	_, url = serveModel(t, told{labels: []string{"q", "r", "s", "u"}})
	var said []string
	if x, err = Open(calledConfig(url), func(l string) { said = append(said, l) }); err != nil {
		t.Fatal(err)
	}
	x.Close()
	if !slices.ContainsFunc(said, func(l string) bool { return strings.Contains(l, "knows none of the classes by name") }) {
		t.Errorf("said %q", said)
	}
}

// A called model that says how pictures are resized and cut gets them so.
func TestCalledModelSaysItsPreprocessor(t *testing.T) {
	file := `{"image_processor_type":"CLIPImageProcessor","size":{"shortest_edge":20},"crop_size":{"height":16,"width":16},"image_mean":[0.1,0.2,0.3],"image_std":[1,1,1]}`
	_, url := serveModel(t, told{mean: []float32{0.1, 0.2, 0.3}, std: []float32{1, 1, 1}, file: file})
	x, err := Open(calledConfig(url), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	tr := x.remote.transform
	if mean, _ := tr.Normalization(); !tr.Cut || tr.Scale.Shortest != 20 || tr.Scale.Filter != data.Bicubic || mean[2] != 0.3 {
		t.Errorf("pictures are made by %+v", tr)
	}
	_, url = serveModel(t, told{mean: []float32{0, 0, 0}, std: []float32{1, 1, 1}, file: `{"do_pad":true}`})
	if _, err := Open(calledConfig(url), func(string) {}); err == nil || !strings.Contains(err.Error(), "do_pad") {
		t.Errorf("a step that is not done here: %v", err)
	}
}
