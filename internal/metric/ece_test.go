package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

// logitsOf gives two classes of which the first has probability p.
func logitsOf(p float64) []float32 { return []float32{float32(math.Log(p / (1 - p))), 0} }

// TestECEByHand: cases that a pencil can do.
func TestECEByHand(t *testing.T) {
	for _, c := range []struct {
		what   string
		p      []float64 // of class 0
		labels []int32
		want   float64
	}{
		{"sure and right", []float64{1 - 1e-9, 1 - 1e-9}, []int32{0, 0}, 0},
		{"sure and wrong", []float64{1 - 1e-9, 1 - 1e-9}, []int32{1, 1}, 1},
		{"0.8 and right four times of five", []float64{.8, .8, .8, .8, .8}, []int32{0, 0, 0, 0, 1}, 0},
		{"the confidence is that of the answer, whichever it is", []float64{.2, .2, .2, .2, .2}, []int32{1, 1, 1, 1, 0}, 0},
		// 0.7 lies in (10/15, 11/15], 0.9 in (13/15, 14/15]: half of the images each,
		// |1 - 0.7| and |0 - 0.9|.
		{"two bins", []float64{.7, .7, .9, .9}, []int32{0, 0, 1, 1}, .5*.3 + .5*.9},
		// 0.61 and 0.65 lie in (9/15, 10/15]: |1/2 - 0.63|.
		{"one bin for two confidences", []float64{.61, .65}, []int32{0, 1}, .13},
		// 0.65 and 0.68 lie on either side of 10/15: |1 - 0.65|/2 + |0 - 0.68|/2.
		{"an edge between two confidences", []float64{.65, .68}, []int32{0, 1}, .35/2 + .68/2},
	} {
		b := &Batch{Size: len(c.p), Losses: make([]float32, len(c.p)), Labels: c.labels}
		for _, p := range c.p {
			b.Outputs = append(b.Outputs, logitsOf(p)...)
		}
		// float32 logits carry the probabilities to about 1e-7
		if got := measured(t, Task{Outputs: 2}, b, "ece").Of("ece").Numbers[0]; math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

// TestECEEdges: a confidence at an edge lies below it.
func TestECEEdges(t *testing.T) {
	for m := 1; m <= bins; m++ {
		edge := float64(m) / bins
		if got := bin(edge); got != m-1 {
			t.Errorf("%d/%d lies in bin %d", m, bins, got)
		}
		if got := bin(math.Nextafter(edge, 2)); got != min(m, bins-1) {
			t.Errorf("what is above %d/%d lies in bin %d", m, bins, got)
		}
	}
	if p := confidence([]float32{4, 4, 4, 4, 4}); p != .2 || bin(p) != 2 {
		t.Errorf("five equal outputs: confidence %v in bin %d", p, bin(p))
	}
}

// TestECEIndependently: the paper's formula, done in another way: images sorted by
// confidence, each bin a stretch of them.
func TestECEIndependently(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const n, k = 5000, 7
	b := &Batch{Size: n, Losses: make([]float32, n), Labels: make([]int32, n)}
	type answer struct {
		confidence, right float64
	}
	var all []answer
	for i := range n {
		z := make([]float32, k)
		for j := range z {
			z[j] = float32(3 * r.NormFloat64())
		}
		b.Labels[i] = int32(r.IntN(k))
		b.Outputs = append(b.Outputs, z...)
		probs := make([]float64, k)
		for j := range z {
			for _, v := range z {
				probs[j] += math.Exp(float64(v) - float64(z[j]))
			}
			probs[j] = 1 / probs[j]
		}
		a := answer{confidence: slices.Max(probs)}
		if slices.Index(probs, a.confidence) == int(b.Labels[i]) {
			a.right = 1
		}
		all = append(all, a)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].confidence < all[j].confidence })
	want := 0.0
	for m := range 15 {
		from := sort.Search(n, func(i int) bool { return all[i].confidence > float64(m)/15 })
		to := sort.Search(n, func(i int) bool { return all[i].confidence > float64(m+1)/15 })
		var accuracy, confidence float64
		for _, a := range all[from:to] {
			accuracy, confidence = accuracy+a.right, confidence+a.confidence
		}
		if size := float64(to - from); size > 0 {
			want += size / n * math.Abs(accuracy/size-confidence/size)
		}
	}
	got := measured(t, Task{Outputs: k}, b, "ece").Of("ece").Numbers[0]
	if math.Abs(got-want) > 1e-12 || got < 0.3 {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestECEOfNoNumbers: outputs that are not finite give no number and no panic.
func TestECEOfNoNumbers(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, z := range [][]float32{{nan, nan}, {1, nan}, {inf, 0}, {-inf, -inf}} {
		b := &Batch{Size: 2, Losses: make([]float32, 2), Labels: []int32{0, 0}, Outputs: append([]float32{1, 0}, z...)}
		if got := measured(t, Task{Outputs: 2}, b, "ece").Of("ece").Numbers[0]; !math.IsNaN(got) {
			t.Errorf("%v: %v", z, got)
		}
	}
	b := &Batch{Size: 1, Losses: make([]float32, 1), Labels: []int32{0}, Outputs: []float32{0, -inf}}
	if got := measured(t, Task{Outputs: 2}, b, "ece").Of("ece").Numbers[0]; got != 0 {
		t.Errorf("a class of probability 0: %v", got)
	}
}
