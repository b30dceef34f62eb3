package data

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/noise"
)

// pillow holds the first 16 digits of the SHA-256 of the pixels that Pillow
// 9.4.0 makes of scene(w, h) by resize((ow, oh), filter).
const pillow = `
32 32 16 16 0 d9c56b29fe2e2b6a
32 32 16 16 1 1cce427db3dd7db9
32 32 16 16 2 46855c29fc3d23e4
32 32 16 16 3 eee93a778847ded9
32 32 224 224 0 6f32d39050e310ba
32 32 224 224 1 1512db5695449d8a
32 32 224 224 2 f9f8fa131a8461a0
32 32 224 224 3 4ac8cba565653a65
17 13 32 32 0 d6b07d05d2662e33
17 13 32 32 1 7c53acab574d52cd
17 13 32 32 2 e9d863308d0420bf
17 13 32 32 3 3a108ead69d054fd
100 7 8 32 1 602bb90d3ca7b312
100 7 8 32 2 bc5886911b5d70df
100 7 8 32 3 04f74c59746b8489
7 100 32 8 1 80d0bffe49e1d7e4
7 100 32 8 2 f837c690bbe26c28
7 100 32 8 3 f085788e5312b59c
64 48 32 48 2 c1947f4109992cec
5 5 1 1 0 01bd4e41a2624365
5 5 1 1 1 8cd66c8f00432958
5 5 1 1 2 11084bd9234a45e8
5 5 1 1 3 ac9dc99ced382030
200 150 32 32 0 c5f82498a8125006
200 150 32 32 1 d43ccfec2e0c6340
200 150 32 32 2 a7fb33639304d40e
200 150 32 32 3 5883bdc814b7f744`

func scene(w, h int) *Image {
	im := &Image{Width: w, Height: h}
	for y := range h {
		for x := range w {
			im.Pix = append(im.Pix, uint8(x*37+y*91+x*y*13), uint8(x*x*7+y*29), uint8(x*5+y*y*11+97))
		}
	}
	return im
}

func TestResizeEqualsPillow(t *testing.T) {
	for line := range strings.Lines(strings.TrimSpace(pillow)) {
		var w, h, ow, oh, f int
		var want string
		if _, err := fmt.Sscan(line, &w, &h, &ow, &oh, &f, &want); err != nil {
			t.Fatal(err)
		}
		out := Resize(scene(w, h), ow, oh, Filter(f))
		if got := fmt.Sprintf("%x", sha256.Sum256(out.Pix))[:16]; got != want {
			t.Errorf("%d×%d to %d×%d, filter %d: %s, not %s", w, h, ow, oh, f, got, want)
		}
	}
	var gray []byte
	for im := scene(50, 40); len(im.Pix) > 0; im.Pix = im.Pix[3:] {
		gray = append(gray, luminance(im.Pix[0], im.Pix[1], im.Pix[2]))
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(gray))[:16]; got != "20b195e757524739" {
		t.Errorf("luminance: %s", got)
	}
}

func TestStripsNeedNoHugeImageBetween(t *testing.T) {
	strip := &Image{1, 1 << 21, make([]uint8, 3<<21)}
	tr, err := NewTransform(224, 3, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := testkit.Allocated(func() { tr.Fit(strip, "") }); n > 1<<24 {
		t.Errorf("stretched: %d bytes", n)
	}
	tr.Scale, tr.Cut = Scale{Shortest: 256, Filter: Bilinear}, true
	if n := testkit.Allocated(func() { tr.Fit(strip, "") }); n > 1<<24 {
		t.Errorf("cut: %d bytes", n)
	}
}

func TestTransformIsExactAtTheModelsSize(t *testing.T) {
	im := scene(8, 8)
	tr, err := NewTransform(8, 3, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if fit, err := tr.Fit(im, ""); fit != im || err != nil {
		t.Error("an image of the right size was resampled", err)
	}
	dst := make([]float32, 3*64)
	tr.Write(dst, im, nil)
	for c := range 3 {
		for p := range 64 {
			want := (float32(im.Pix[3*p+c])/255 - 0.5) / 0.5
			if math.Float32bits(dst[64*c+p]) != math.Float32bits(want) {
				t.Fatalf("channel %d, pixel %d: %v, not %v", c, p, dst[64*c+p], want)
			}
		}
	}
}

// TestMiddle: what is cut out of the middle is that part of the whole resized
// image, and black lies around what is smaller, one pixel more before it than
// after it.
func TestMiddle(t *testing.T) {
	for f := Nearest; f <= Hamming; f++ {
		for _, in := range [][2]int{{1, 1}, {3, 50}, {50, 3}, {13, 13}, {40, 31}} {
			for _, size := range []Scale{{Shortest: 13}, {Width: 19, Height: 9}, {Width: 8, Height: 13}, {},
				{Shortest: 20, Longest: 25}} {
				size.Filter = f
				im := scene(in[0], in[1])
				tr := &Transform{Size: 13, Channels: 3, Scale: size, Cut: true}
				if err := tr.Prepare(); err != nil {
					t.Fatal(err)
				}
				got, err := tr.Fit(im, "")
				if err != nil {
					t.Fatal(err)
				}
				w, h := size.of(im.Width, im.Height)
				whole := Resize(im, w, h, f)
				for y := range 13 {
					for x := range 13 {
						var want [3]uint8
						sx, sy := x+int(math.Floor(float64(w-13)/2)), y+int(math.Floor(float64(h-13)/2))
						if sx >= 0 && sx < w && sy >= 0 && sy < h {
							copy(want[:], whole.Pix[3*(sy*w+sx):])
						}
						if !bytes.Equal(got.Pix[3*(13*y+x):][:3], want[:]) {
							t.Fatalf("%v by %+v: pixel %d, %d is %v, not %v", in, size, x, y, got.Pix[3*(13*y+x):][:3], want)
						}
					}
				}
			}
		}
	}
}

// TestMiddleAsTorchvision: the cut of torchvision's CenterCrop, whose rests of 11
// and 7 are halved to 6 and 4, of 9 and 5 to 4 and 2.
func TestMiddleAsTorchvision(t *testing.T) {
	for _, c := range []struct{ w, h, x, y int }{{75, 71, 6, 4}, {73, 69, 4, 2}, {66, 64, 1, 0}} {
		im := scene(c.w, c.h)
		tr := &Transform{Size: 64, Channels: 3, Cut: true, CutEven: true}
		if err := tr.Prepare(); err != nil {
			t.Fatal(err)
		}
		got, err := tr.Fit(im, "")
		if err != nil {
			t.Fatal(err)
		}
		for y := range 64 {
			if !bytes.Equal(got.Pix[3*64*y:][:3*64], im.Pix[3*((y+c.y)*c.w+c.x):][:3*64]) {
				t.Fatalf("%d×%d: row %d is not that of a cut at %d, %d", c.w, c.h, y, c.x, c.y)
			}
		}
	}
}

// TestAugmentation reads the shift and the flip back from an image whose
// pixels name their place.
func TestAugmentation(t *testing.T) {
	const n = 32
	im := &Image{n, n, make([]uint8, 3*n*n)}
	for p := range n * n {
		im.Pix[3*p], im.Pix[3*p+1], im.Pix[3*p+2] = uint8(p%n+1), uint8(p/n+1), 255
	}
	tr, err := NewTransform(n, 3, []float32{0}, []float32{1}, []string{"flip", "crop"})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, 3*n*n)
	flips, shifts, black := 0, map[[2]int]bool{}, false
	for i := range 400 {
		tr.Write(dst, im, noise.Rand(1, noise.Augment, 0, uint32(i)))
		x0, x1 := int(math.Round(float64(dst[16*n+10]*255))), int(math.Round(float64(dst[16*n+11]*255)))
		y0 := int(math.Round(float64(dst[n*n+16*n+10] * 255)))
		dx := x0 - 11
		if x1 < x0 {
			flips++
			dx = x0 - 22
		}
		shifts[[2]int{dx, y0 - 17}] = true
		black = black || dst[2*n*n] == 0
		if dx < -4 || dx > 4 || y0 < 13 || y0 > 21 {
			t.Fatalf("shifted by %d, %d", dx, y0-17)
		}
	}
	// A fair coin thrown 400 times: 200 ± 4 standard deviations of 10.
	if flips < 160 || flips > 240 {
		t.Errorf("%d of 400 flipped", flips)
	}
	if len(shifts) < 75 || !black { // of 81; about 0.6 are expected to stay unseen
		t.Errorf("%d different shifts, black border: %v", len(shifts), black)
	}
	tr.Reflect = true
	for i := range 50 {
		tr.Write(dst, im, noise.Rand(1, noise.Augment, 0, uint32(i)))
		for _, v := range dst[2*n*n:] {
			if v != 1 {
				t.Fatal("a reflected border holds black")
			}
		}
	}
}

func TestTransformMistakes(t *testing.T) {
	_, err := NewTransform(8, 3, nil, nil, []string{"flop"})
	refused(t, err, `"flop"`, `"flip"`)
	_, err = NewTransform(0, 3, nil, nil, nil)
	refused(t, err, "0 pixels")
	_, err = NewTransform(8, 2, nil, nil, nil)
	refused(t, err, "2 channels")
	_, err = NewTransform(8, 3, []float32{1, 2}, nil, nil)
	refused(t, err, "data.mean")
	_, err = NewTransform(8, 3, nil, []float32{0}, nil)
	refused(t, err, "data.std")
	tr := &Transform{Size: 8, Channels: 3, Scale: Scale{Filter: 6}}
	refused(t, tr.Prepare(), "filter 6")
	tr.Scale.Filter = Box
	if err := tr.Prepare(); err != nil {
		t.Fatal(err)
	}
	_, err = tr.Fit(scene(8, 9), "tall.png")
	refused(t, err, "tall.png", "8×9", "8×8")
}

func BenchmarkResize(b *testing.B) {
	im := scene(500, 375)
	b.ReportAllocs()
	for b.Loop() {
		Resize(im, 224, 224, Bilinear)
	}
}
