package objective

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

func normals(n int, id uint32) []float32 {
	g := noise.Rand(1, noise.Test, id)
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(g.Normal())
	}
	return v
}

func TestRegistry(t *testing.T) {
	for _, name := range []string{"cross_entropy", "accuracy"} {
		o, err := New(name)
		if err != nil || o.Name() != name {
			t.Errorf("%s: %v, %v", name, o, err)
		}
	}
	_, err := New("crossentropy")
	var u *uierr.Error
	if !errors.As(err, &u) || !strings.Contains(u.Hint, "accuracy, contrastive, cross_entropy") {
		t.Errorf("unknown name: %v", err)
	}
}

func TestCrossEntropyValues(t *testing.T) {
	// log(e^1+e^2+e^3) = 3.40760596444438; the second row overflows exp.
	logits := []float32{1, 2, 3, 1000, 0, 1000, -200, -200, -200}
	out := make([]float32, 3)
	if err := (CE{}).Losses(out, logits, 3, 3, []int32{0, 2, 1}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{2.40760596, math.Ln2, math.Log(3)} {
		if math.Abs(float64(out[i])-want) > 1e-6 {
			t.Errorf("row %d: %v, want %v", i, out[i], want)
		}
	}
	nan := float32(math.NaN())
	if err := (CE{}).Losses(out, []float32{nan, 0, 0}, 1, 3, []int32{1}); err != nil || out[0] == out[0] {
		t.Errorf("NaN logits: loss %v, error %v", out[0], err)
	}
}

func TestAccuracyTies(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		logits []float32
		label  int32
		want   float32
	}{
		{[]float32{1, 3, 2}, 1, 0},
		{[]float32{1, 3, 2}, 2, 1},
		{[]float32{3, 3, 2}, 0, 0}, // the first of equals answers
		{[]float32{3, 3, 2}, 1, 1},
		{[]float32{nan, 1, 0}, 1, 0},
		{[]float32{nan, nan, nan}, 0, 1},
	} {
		var out [1]float32
		if err := (Accuracy{}).Losses(out[:], c.logits, 1, 3, []int32{c.label}); err != nil || out[0] != c.want {
			t.Errorf("%v label %d: %v, %v; want %v", c.logits, c.label, out[0], err, c.want)
		}
	}
}

func TestLabelsOutOfRange(t *testing.T) {
	out := make([]float32, 3)
	for _, o := range []Objective{CE{}, Accuracy{}} {
		for _, l := range []int32{-1, 3} {
			if o.Losses(out, make([]float32, 3), 1, 3, []int32{l}) == nil {
				t.Errorf("%s took label %d of 3", o.Name(), l)
			}
		}
		if o.Losses(out[:0], make([]float32, 3), 1, 3, []int32{0}) == nil {
			t.Errorf("%s wrote where there is no room", o.Name())
		}
	}
}

// slope is the central difference of f along component j of x.
func slope(x []float32, j int, f func() float64) float64 {
	const h = 1e-2
	was := x[j]
	x[j] = was + h
	up, hi := f(), float64(x[j])
	x[j] = was - h
	down, lo := f(), float64(x[j])
	x[j] = was
	return (up - down) / (hi - lo)
}

func TestCrossEntropyGrad(t *testing.T) {
	const rows, k = 4, 5
	z, labels := normals(rows*k, 1), []int32{0, 4, 2, 2}
	d := make([]float32, rows*k)
	if err := (CE{}).Grad(d, z, rows, k, labels, 0.5); err != nil {
		t.Fatal(err)
	}
	for j := range z {
		want := slope(z, j, func() float64 {
			out := make([]float32, rows)
			if err := (CE{}).Losses(out, z, rows, k, labels); err != nil {
				t.Fatal(err)
			}
			return 0.5 * float64(out[j/k])
		})
		// float32 losses differ by 1e-7 over a step of 2e-2.
		if math.Abs(float64(d[j])-want) > 5e-5 {
			t.Errorf("component %d: %v, finite difference %v", j, d[j], want)
		}
	}
}
