package prompt

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/noise"
)

// A coordinator begins as no prompt; what it adds is linear in the decoder, another
// for another image, and as many colours as cells stretched over the image.
func TestCoordinator(t *testing.T) {
	c, err := NewCoordinator(2, 3, 3, 12, 10)
	if err != nil {
		t.Fatal(err)
	}
	n := 3 * 12 * 10
	img, other, out := make([]float32, n), make([]float32, n), make([]float32, n)
	r := noise.Rand(1, noise.Test)
	for i := range img {
		img[i], other[i] = float32(r.Normal()), float32(r.Normal())
	}
	c.Apply(out, img, c.Trained().Data)
	for i := range out {
		if out[i] != img[i] {
			t.Fatalf("value %d: %v, not the image's %v", i, out[i], img[i])
		}
	}
	data := append([]float32{}, c.Trained().Data...)
	for i := c.Triggers; i < len(data); i++ {
		data[i] = float32(r.Normal())
	}
	added := func(img, data []float32) []float32 {
		c.Apply(out, img, data)
		d := make([]float32, n)
		for i := range d {
			d[i] = out[i] - img[i]
		}
		return d
	}
	one := added(img, data)
	twice := append([]float32{}, data...)
	for i := c.Triggers; i < len(data); i++ {
		twice[i] *= 2
	}
	two, another := added(img, twice), added(other, data)
	differ := 0
	for i, v := range one {
		if math.Abs(float64(two[i]-2*v)) > 1e-4 {
			t.Errorf("value %d: %v, and of twice the decoder %v", i, v, two[i])
		}
		if math.Abs(float64(another[i]-v)) > 1e-3 {
			differ++
		}
	}
	if differ < n/2 {
		t.Errorf("%d of %d values differ for another image", differ, n)
	}
	// The corner is its cell's colour alone: row 0 of the decoder.
	in := append(c.encode(img), data[:c.Triggers]...)
	var want float64
	for j, v := range in {
		want += float64(v) * float64(data[c.Triggers+j])
	}
	if math.Abs(float64(one[0])-want) > 1e-4 {
		t.Errorf("the corner is %v, its cell %v", one[0], want)
	}
	for _, bad := range [][5]int{{0, 3, 3, 12, 10}, {11, 3, 3, 12, 10}, {2, 0, 3, 12, 10}, {2, 3, 3, 3, 10}} {
		if _, err := NewCoordinator(bad[0], bad[1], bad[2], bad[3], bad[4]); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}
