package objective

import (
	"math"
	"slices"
	"testing"
)

const (
	nImages = 6
	nWidth  = 5
)

var classOf = []int32{2, 0, 2, 1, 0, 2} // class 3 has no image in the batch

// begun is a contrastive objective with a batch of six images.
func begun(t *testing.T, pairing string) *Contrastive {
	t.Helper()
	texts := 4
	if pairing == "image" {
		texts = 20
	}
	c, err := NewContrastive(Options{Texts: normals(texts*nWidth, 7), Width: nWidth,
		Own: Temperature.With(Pairing.With(nil, pairing), 0.3)})
	if err != nil {
		t.Fatal(err)
	}
	return bound(t, c, classOf, []int32{3, 0, 19, 7, 8, 11})
}

// bound is an objective of a batch.
func bound(t *testing.T, c *Contrastive, labels, index []int32) *Contrastive {
	t.Helper()
	b, err := c.Bind(labels, index)
	if err != nil {
		t.Fatal(err)
	}
	return b.(*Contrastive)
}

// naive is J of the definition in Contrastive's comment, in plain sums.
func naive(c *Contrastive, e []float32) float64 {
	unit := func(v []float32) []float64 {
		var s float64
		for _, x := range v {
			s += float64(x) * float64(x)
		}
		u := make([]float64, len(v))
		for i, x := range v {
			u[i] = float64(x) / math.Sqrt(s)
		}
		return u
	}
	M := len(c.batch)
	s := make([][]float64, nImages)
	for i := range s {
		u := unit(e[i*nWidth : (i+1)*nWidth])
		for _, k := range c.batch {
			var d float64
			for x := range u {
				d += u[x] * c.texts[k*nWidth+x]
			}
			s[i] = append(s[i], d*math.Exp(float64(c.Temperature.Data[0])))
		}
	}
	var j float64
	for i := range s {
		var row, col float64
		for k := range M {
			row += math.Exp(s[i][k])
		}
		for l := range s {
			col += math.Exp(s[l][c.want[i]])
		}
		y := s[i][c.want[i]]
		j += (math.Log(row) - y + math.Log(col) - y) / 2
	}
	return j / nImages
}

func cases(t *testing.T, f func(t *testing.T, c *Contrastive)) {
	for _, pairing := range []string{"class", "image"} {
		t.Run(pairing, func(t *testing.T) { f(t, begun(t, pairing)) })
	}
}

func mean(v []float32) float64 {
	var s float64
	for _, x := range v {
		s += float64(x)
	}
	return s / float64(len(v))
}

// TestContrastiveMeanIsObjective: the clean losses average to J.
func TestContrastiveMeanIsObjective(t *testing.T) {
	cases(t, func(t *testing.T, c *Contrastive) {
		e, out := normals(nImages*nWidth, 3), make([]float32, nImages)
		if err := c.Anchor(out, e, nWidth); err != nil {
			t.Fatal(err)
		}
		if want := naive(c, e); math.Abs(mean(out)-want) > 1e-6 {
			t.Errorf("mean loss %v, J %v", mean(out), want)
		}
	})
}

// TestContrastiveQuerySeesColumns: replacing one embedding by any other moves
// its query's loss by B times what it moves J, exactly: no other image's column
// term is missed.
func TestContrastiveQuerySeesColumns(t *testing.T) {
	cases(t, func(t *testing.T, c *Contrastive) {
		e, clean := normals(nImages*nWidth, 3), make([]float32, nImages)
		if err := c.Anchor(clean, e, nWidth); err != nil {
			t.Fatal(err)
		}
		before := naive(c, e)
		for i := range nImages {
			moved := slices.Clone(e)
			copy(moved[i*nWidth:], normals(nWidth, uint32(100+i)))
			var got [1]float32
			if err := c.Losses(got[:], moved[i*nWidth:], 1, nWidth, []int32{int32(i)}); err != nil {
				t.Fatal(err)
			}
			want := nImages * (naive(c, moved) - before)
			if d := float64(got[0] - clean[i]); math.Abs(d-want) > 2e-5 {
				t.Errorf("image %d: loss moves by %v, B·J by %v", i, d, want)
			}
		}
	})
}

// TestContrastiveGrad: the gradient at the clean embeddings, and that of the
// temperature, agree with finite differences of J.
func TestContrastiveGrad(t *testing.T) {
	cases(t, func(t *testing.T, c *Contrastive) {
		e, out := normals(nImages*nWidth, 3), make([]float32, nImages)
		if err := c.Anchor(out, e, nWidth); err != nil {
			t.Fatal(err)
		}
		d := make([]float32, len(e))
		if err := c.Grad(d, e, nImages, nWidth, []int32{0, 1, 2, 3, 4, 5}, 1./nImages); err != nil {
			t.Fatal(err)
		}
		// h = 0.01: the third-order term of the central difference is below 2e-4.
		for j := range e {
			if want := slope(e, j, func() float64 { return naive(c, e) }); math.Abs(float64(d[j])-want) > 3e-4 {
				t.Errorf("component %d: %v, finite difference %v", j, d[j], want)
			}
		}
		g, err := c.LogScaleGrad(e, nWidth)
		if err != nil {
			t.Fatal(err)
		}
		if want := slope(c.Temperature.Data, 0, func() float64 { return naive(c, e) }); math.Abs(float64(g)-want) > 3e-4 {
			t.Errorf("log scale: %v, finite difference %v", g, want)
		}
	})
}

// TestContrastiveDominantColumn: an image that is all of its column, far above
// the rest, is replaced without cancellation.
func TestContrastiveDominantColumn(t *testing.T) {
	c, err := NewContrastive(Options{Texts: []float32{1, 0, 0, 1}, Width: 2, Own: Temperature.With(nil, 0.01)})
	if err != nil {
		t.Fatal(err)
	}
	c = bound(t, c, []int32{0, 1}, nil)
	var out [2]float32
	if err := c.Anchor(out[:], []float32{1, 0, -1, 0}, 2); err != nil {
		t.Fatal(err)
	}
	// Image 0 turns round: its column falls by 200 in the logarithm, down to
	// log(2 e^-100). s' = (−100, 0), r = 100, column of text 0 −(−100) + log 2 − 100.
	if err := c.Losses(out[:], []float32{-1, 0}, 1, 2, []int32{0}); err != nil {
		t.Fatal(err)
	}
	if want := (100 + math.Ln2) / 2; math.Abs(float64(out[0])-want) > 1e-4 {
		t.Errorf("loss %v, want %v", out[0], want)
	}
}

func TestContrastiveRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"pairing":      {Texts: normals(4, 1), Width: 2, Own: Pairing.With(nil, "both")},
		"no texts":     {Width: 2},
		"ragged texts": {Texts: normals(5, 1), Width: 2},
		"zero text":    {Texts: []float32{1, 1, 0, 0}, Width: 2},
		"temperature":  {Texts: normals(4, 1), Width: 2, Own: Temperature.With(nil, -1)},
	} {
		if _, err := NewContrastive(o); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	c := begun(t, "class")
	if _, err := c.Bind([]int32{4}, nil); err == nil {
		t.Error("a class without text was taken")
	}
	if c.Losses(make([]float32, 1), make([]float32, 3), 1, 3, []int32{0}) == nil {
		t.Error("embeddings of another width were taken")
	}
}

// TestBindKeepsBatchesApart: what is bound to a batch answers alike whatever other
// batches are bound and anchored since, and what it was bound from knows no batch.
func TestBindKeepsBatchesApart(t *testing.T) {
	c := begun(t, "class")
	free := *c
	free.want, free.batch, free.n = nil, nil, nil
	e, clean, again := normals(nImages*nWidth, 3), make([]float32, nImages), make([]float32, nImages)
	first, err := Bind(&free, classOf, nil, nWidth)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Anchor(clean, e, nWidth); err != nil {
		t.Fatal(err)
	}
	second, err := Bind(&free, []int32{1, 1, 3}, nil, nWidth)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Anchor(make([]float32, 3), normals(3*nWidth, 4), nWidth); err != nil {
		t.Fatal(err)
	}
	if err := first.Losses(again, e, nImages, nWidth, first.Targets); err != nil || !slices.Equal(again, clean) {
		t.Errorf("losses %v, before another batch %v (%v)", again, clean, err)
	}
	if err := free.Losses(again, e, 1, nWidth, first.Targets); err == nil {
		t.Error("an objective of no batch gave a loss")
	}
	if _, err := Bind(CE{}, []int32{0, 3}, nil, 3); err == nil {
		t.Error("a label of no class was bound")
	}
}

// The sigmoid form is SigLIP's loss, and its slopes are those of differences, by the
// outputs and by the log scale; no image's depends on another.
func TestSigmoid(t *testing.T) {
	own := Bias.With(Temperature.With(Form.With(nil, "sigmoid"), 0.2), -1.5)
	c, err := NewContrastive(Options{Texts: normals(4*nWidth, 1), Width: nWidth, Own: own})
	if err != nil {
		t.Fatal(err)
	}
	bound, err := Bind(c, classOf, nil, nWidth)
	if err != nil {
		t.Fatal(err)
	}
	e := normals(nImages*nWidth, 3)
	losses := make([]float32, nImages)
	if err := bound.Anchor(losses, e, nWidth); err != nil {
		t.Fatal(err)
	}
	rows := c.Texts()
	for i := range nImages {
		v := e[i*nWidth : (i+1)*nWidth]
		var want float64
		for k := range 4 {
			var cos float64
			for j, x := range v {
				cos += float64(x) * float64(rows[k*nWidth+j]) / Norm(v)
			}
			z := cos/0.2 - 1.5
			if k != int(classOf[i]) {
				z = -z
			}
			want += math.Log1p(math.Exp(-z))
		}
		if math.Abs(float64(losses[i])-want) > 1e-5 {
			t.Errorf("image %d: %v, want %v", i, losses[i], want)
		}
	}
	d := make([]float32, len(e))
	if err := bound.Objective.(Differentiable).Grad(d, e, nImages, nWidth, bound.Targets, 1); err != nil {
		t.Fatal(err)
	}
	for j := range e {
		want := slope(e, j, func() float64 {
			out := make([]float32, nImages)
			if err := bound.Losses(out, e, nImages, nWidth, bound.Targets); err != nil {
				t.Fatal(err)
			}
			return float64(out[j/nWidth])
		})
		if math.Abs(float64(d[j])-want) > 2e-3 {
			t.Errorf("component %d: %v, finite difference %v", j, d[j], want)
		}
	}
}
