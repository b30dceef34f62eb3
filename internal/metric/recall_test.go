package metric

import (
	"math"
	"slices"
	"testing"
)

func TestRetrieval(t *testing.T) {
	texts := []float32{1, 0, 0, 1, -1, 0}
	for _, c := range []struct {
		what             string
		images, texts    []float32
		zero             float64
		toText, fromText []float64 // at 1, 2 and 3
	}{
		// Image 2 lies at text 1, and texts 0 and 2 at equal distance after it; text
		// 1 is nearer to image 2 than to its own, text 2 is nearest to its own.
		{"one text each", []float32{2, .1, .1, 3, 0, 1}, texts, 2. / 3,
			[]float64{2. / 3, 2. / 3, 1}, []float64{2. / 3, 1, 1}},
		{"equal texts are one: both images answer either", []float32{1, .1, 1, .2, 0, 1}, []float32{1, 0, 1, 0, 0, 1},
			2. / 3, []float64{1, 1, 1}, []float64{1, 1, 1}},
		{"constant embeddings know nothing and find nothing", make([]float32, 6), texts, 1. / 3,
			[]float64{0, 0, 1}, []float64{0, 0, 1}},
	} {
		n := len(c.images) / 2
		task := Task{Outputs: 2, Aligned: true, Classes: c.texts}
		b := &Batch{Size: n, Losses: make([]float32, n), Outputs: c.images, Labels: []int32{0, 1, 2}, Texts: c.texts}
		if got := measured(t, task, b).Of(ZeroShot).Numbers[0]; math.Abs(got-c.zero) > 1e-9 {
			t.Errorf("%s: zero-shot %v, want %v", c.what, got, c.zero)
		}
		if got := imageToText(task, b, []int{1, 2, 3}); !slices.Equal(got, c.toText) {
			t.Errorf("%s: image to text %v, want %v", c.what, got, c.toText)
		}
		if got := textToImage(task, b, []int{1, 2, 3}); !slices.Equal(got, c.fromText) {
			t.Errorf("%s: text to image %v, want %v", c.what, got, c.fromText)
		}
	}
}
