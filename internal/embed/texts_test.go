package embed

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
)

// TestOfClasses: orthonormal, the same for any order of the names, another for
// another seed.
func TestOfClasses(t *testing.T) {
	names := []string{"dog", "cat", "frog", "ship"}
	s, err := OfClasses(names, 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		for j := range names {
			var d, want float64
			for k := range s.Width {
				d += float64(s.Data[i*s.Width+k]) * float64(s.Data[j*s.Width+k])
			}
			if i == j {
				want = 1
			}
			if math.Abs(d-want) > 1e-6 { // float32 has 24 bits
				t.Errorf("%s·%s = %v", names[i], names[j], d)
			}
		}
	}
	other, err := OfClasses([]string{"ship", "frog", "cat", "dog"}, 6, 1)
	if err != nil || !slices.Equal(other.Data[3*6:], s.Data[:6]) || !slices.Equal(other.Data[:6], s.Data[3*6:]) {
		t.Errorf("the order of the names changes the embeddings (%v)", err)
	}
	if other, err = OfClasses(names, 6, 2); err != nil || slices.Equal(other.Data, s.Data) {
		t.Errorf("the seed changes nothing (%v)", err)
	}
	for want, f := range map[string]func() (*Set, error){
		"4 classes have no orthogonal embeddings of width 3": func() (*Set, error) { return OfClasses(names, 3, 0) },
		"a class is named twice": func() (*Set, error) {
			return OfClasses([]string{"a", "a"}, 3, 0)
		},
	} {
		if _, err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestCaptions(t *testing.T) {
	c := config.Default().Data
	c.Kind, c.Count, c.TestCount = "shapes", 5, 3
	var sets []data.Dataset
	for _, split := range []string{data.Train, data.Test} {
		ds, err := data.Open(c, split)
		if err != nil {
			t.Fatal(err)
		}
		defer ds.Close()
		sets = append(sets, ds)
	}
	s, err := Captions(sets...)
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 8 || s.IDs[4] != "train/000004" || s.IDs[5] != "test/000000" ||
		s.Width != len(data.Vocabulary(sets[0])) {
		t.Errorf("%d captions of width %d: %q", s.Len(), s.Width, s.IDs)
	}
	if !slices.Equal(s.Data[5*s.Width:6*s.Width], data.AttributeVector(sets[1], 0)) {
		t.Error("a caption is not that of its image")
	}
}
