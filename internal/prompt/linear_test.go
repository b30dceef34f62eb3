package prompt

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/flops-vit/flops/noise"
)

// TestLinearReference: the task's logits of six images are those that PyTorch
// 1.13 reaches in float64 (LBFGS on the summed cross-entropy plus half the
// squared weights, strong Wolfe, gradient below 2e-8).
func TestLinearReference(t *testing.T) {
	logits := []float32{2, -1, .5, 1.5, 0, -.5, -1, 2, 0, -.5, 1, 3, 0, -2, 1, .25, .5, -1}
	want := []float64{
		1.732417, -1.403024, 0.02411, -0.353503,
		1.275506, -0.96306, -0.537234, 0.224788,
		-1.268858, 1.699333, -0.883725, 0.45325,
		-1.00878, 2.008315, -0.018309, -0.981225,
		-0.068961, -0.619757, 1.169615, -0.480897,
		0.124051, -0.17889, -0.553834, 0.608674,
	}
	m, err := LearnLinear(logits, 3, []int32{0, 0, 1, 1, 2, 3}, 4)
	if err != nil {
		t.Fatal(err)
	}
	if m.Model() != 3 || m.Task() != 4 {
		t.Fatalf("%d classes to %d", m.Model(), m.Task())
	}
	got := make([]float32, 24)
	m.Apply(got, logits, 6)
	for j, v := range want {
		if math.Abs(float64(got[j])-v) > 1e-5 {
			t.Errorf("image %d class %d: %v, want %v", j/4, j%4, got[j], v)
		}
	}
}

// TestLinearScale: answers in other units, a class that always answers the same
// and many more classes than images change nothing or are borne; the same
// answers give the same mapping.
func TestLinearScale(t *testing.T) {
	g := noise.Rand(1, noise.Test)
	const n, model, task = 12, 40, 3
	a, b, labels := make([]float32, n*model), make([]float32, n*model), make([]int32, n)
	for i := range labels {
		labels[i] = int32(i % task)
		for k := range model - 1 {
			a[i*model+k] = float32(g.Normal())
		}
		a[i*model+int(labels[i])] += 4
	}
	for j, v := range a {
		b[j] = 1000*v - 7
	}
	la, lb := make([]float32, n*task), make([]float32, n*task)
	ma, err := LearnLinear(a, model, labels, task)
	if err != nil {
		t.Fatal(err)
	}
	mb, err := LearnLinear(b, model, labels, task)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LearnLinear(a, model, labels, task)
	if err != nil || !reflect.DeepEqual(again, ma) {
		t.Errorf("the same answers gave another mapping (%v)", err)
	}
	ma.Apply(la, a, n)
	mb.Apply(lb, b, n)
	for j := range la {
		if math.Abs(float64(la[j]-lb[j])) > 1e-3 {
			t.Errorf("logit %d: %v in one unit, %v in another", j, la[j], lb[j])
		}
	}
	for i, l := range labels {
		if row := la[i*task : (i+1)*task]; slices.Max(row) != row[l] {
			t.Errorf("image %d of class %d: %v", i, l, row)
		}
	}
}

// TestMatrix: a mapping that was kept as numbers answers as it did, bit for bit.
func TestMatrix(t *testing.T) {
	g := noise.Rand(2, noise.Test)
	logits, labels := make([]float32, 20*4), make([]int32, 20)
	for j := range logits {
		logits[j] = float32(g.Normal())
	}
	for i := range labels {
		labels[i] = int32(i % 3)
	}
	for name, learn := range Learners {
		m, err := learn(logits, 4, labels, 3)
		if err != nil {
			t.Fatal(err)
		}
		back, err := LinearOf(m.Matrix())
		if err != nil {
			t.Fatal(err)
		}
		if back.Model() != 4 || back.Task() != 3 {
			t.Errorf("%s: came back with %d and %d classes", name, back.Model(), back.Task())
		}
		a, b := make([]float32, 60), make([]float32, 60)
		m.Apply(a, logits, 20)
		back.Apply(b, logits, 20)
		if !slices.Equal(a, b) {
			t.Errorf("%s: came back another mapping", name)
		}
	}
	for _, c := range [][2]int{{0, 0}, {0, 1}, {3, 0}, {5, 2}} {
		if _, err := LinearOf(make([]float32, c[0]), make([]float32, c[1])); err == nil {
			t.Errorf("%d weights and %d constants were taken", c[0], c[1])
		}
	}
}

func TestLearnersRefuse(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, learn := range Learners {
		for _, c := range []struct {
			what   string
			logits []float32
			labels []int32
		}{
			{"NaN", []float32{1, nan, 1, 1}, []int32{0, 1}},
			{"infinite", []float32{1, 1, inf, 1}, []int32{0, 1}},
			{"a label too many", []float32{1, 1, 1, 1}, []int32{0, 2}},
			{"a label below 0", []float32{1, 1, 1, 1}, []int32{0, -1}},
			{"a row too few", []float32{1, 1}, []int32{0, 1}},
			{"nothing", nil, nil},
		} {
			if _, err := learn(c.logits, 2, c.labels, 2); err == nil {
				t.Errorf("%s: %s was taken", name, c.what)
			}
		}
		if _, err := learn([]float32{1, 1}, 2, []int32{0}, 0); err == nil {
			t.Errorf("%s: a task of no classes was taken", name)
		}
	}
}
