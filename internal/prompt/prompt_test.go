package prompt

import (
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/noise"
)

func TestFrameOver(t *testing.T) {
	f, err := NewFrame(Over, 1, 2, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.Param.Shape, []int{2, 10}) || len(f.Param.Data) != 20 {
		t.Fatalf("shape %v", f.Param.Shape)
	}
	img := make([]float32, 24)
	for i := range img {
		img[i] = float32(i)
	}
	prep, got := make([]float32, 24), make([]float32, 24)
	f.Prepare(prep, img)
	f.Apply(got, prep, f.Param.Data)
	if !slices.Equal(got, img) {
		t.Errorf("a frame of zeros changed the image: %v", got)
	}
	for j := range f.Param.Data {
		f.Param.Data[j] = float32(100 * (j + 1))
	}
	f.Apply(got, prep, f.Param.Data)
	want := []float32{100, 201, 302, 403, 504, 5, 6, 607, 708, 809, 910, 1011,
		1112, 1213, 1314, 1415, 1516, 17, 18, 1619, 1720, 1821, 1922, 2023}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestFrameAround(t *testing.T) {
	f, err := NewFrame(Around, 2, 1, 8, 8)
	if err != nil {
		t.Fatal(err)
	}
	// A ramp stays a ramp: shrunk pixel x covers [2x, 2x+2), whose mean is 2x+½.
	img := make([]float32, 64)
	for i := range img {
		img[i] = float32(i % 8)
	}
	prep, got := make([]float32, 64), make([]float32, 64)
	f.Prepare(prep, img)
	for j := range f.Param.Data {
		f.Param.Data[j] = -9
	}
	f.Apply(got, prep, f.Param.Data)
	for y := range 8 {
		for x := range 8 {
			want := float32(-9)
			if x >= 2 && x < 6 && y >= 2 && y < 6 {
				want = 2*float32(x-2) + .5
			}
			if got[8*y+x] != want {
				t.Errorf("pixel %d,%d is %v, want %v", y, x, got[8*y+x], want)
			}
		}
	}
}

// TestShrinkKeepsMean: area averaging at a ratio that is no integer keeps the
// mean of the image, to float32 rounding.
func TestShrinkKeepsMean(t *testing.T) {
	const h, w, b = 13, 17, 2
	g := noise.Rand(1, noise.Test)
	src, dst := make([]float32, h*w), make([]float32, h*w)
	var in, out float64
	for i := range src {
		src[i] = g.Float32()
		in += float64(src[i])
	}
	shrink(dst, src, h, w, b)
	for _, v := range dst {
		out += float64(v)
	}
	in, out = in/(h*w), out/((h-2*b)*(w-2*b))
	if math.Abs(in-out) > 1e-6 {
		t.Errorf("mean %v became %v", in, out)
	}
}

func TestFrameRefuses(t *testing.T) {
	for _, c := range []struct {
		mode   string
		pixels int
	}{{"under", 1}, {Over, 0}, {Over, 4}, {Around, -1}} {
		if _, err := NewFrame(c.mode, c.pixels, 3, 8, 8); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	if _, err := NewFrame(Over, 3, 3, 8, 8); err != nil {
		t.Error(err)
	}
}

func TestMappings(t *testing.T) {
	m, err := Given([]int{3, 0}, 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, 4)
	m.Apply(dst, []float32{1, 2, 3, 4, 5, 6, 7, 8}, 2)
	if !slices.Equal(dst, []float32{4, 1, 8, 5}) {
		t.Errorf("mapped logits %v", dst)
	}
	for _, bad := range [][]int{{1}, {1, 1}, {1, 4}, {-1, 0}} {
		if _, err := Given(bad, 2, 4); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	if m, err := Identity(2, 3); err != nil || !slices.Equal(m.To, []int{0, 1}) || m.Task() != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := Identity(3, 2); err == nil {
		t.Error("three classes were mapped to two")
	}
}

func TestFrequent(t *testing.T) {
	hot := func(k int, v float32) []float32 { z := make([]float32, 4); z[k] = v; return z }
	cat := func(rows ...[]float32) []float32 { return slices.Concat(rows...) }
	for _, c := range []struct {
		name   string
		logits []float32
		labels []int32
		want   []int
	}{
		{"by count", cat(hot(2, 5), hot(2, 5), hot(0, 5)), []int32{0, 0, 1}, []int{2, 0}},
		// Both are called class 1; task class 1 more often, so 0 takes what it is
		// called next.
		{"one to one", cat(hot(1, 5), hot(3, 5), hot(1, 5), hot(1, 5)), []int32{0, 0, 1, 1}, []int{3, 1}},
		{"surer wins a tie", cat(hot(1, 1), hot(1, 5)), []int32{0, 1}, []int{0, 1}},
		{"all equal", make([]float32, 8), []int32{0, 1}, []int{0, 1}},
	} {
		m, err := Frequent(c.logits, 4, c.labels, 2)
		if err != nil || !slices.Equal(m.(*OneToOne).To, c.want) {
			t.Errorf("%s: %+v, %v; want %v", c.name, m, err, c.want)
		}
	}
	if _, err := Frequent(make([]float32, 4), 4, []int32{2}, 2); err == nil {
		t.Error("a label out of range was taken")
	}
}
