package data

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/testkit"
)

// picture is a small test image that depends on k.
func picture(w, h, k int) *Image {
	im := &Image{w, h, make([]uint8, 3*w*h)}
	for i := range im.Pix {
		im.Pix[i] = uint8(i*(2*k+1) + 31*k + i*i/7)
	}
	return im
}

func pngOf(tb testing.TB, im image.Image) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(tb testing.TB, im image.Image) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, nil); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func write(tb testing.TB, data []byte, path ...string) string {
	tb.Helper()
	p := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(p, data, 0o666); err != nil {
		tb.Fatal(err)
	}
	return p
}

// makeFolder writes n PNG files of each class into both splits.
func makeFolder(tb testing.TB, n int, classes ...string) config.Data {
	tb.Helper()
	dir := tb.TempDir()
	k := 0
	for _, split := range []string{"train", "test"} {
		for _, c := range classes {
			for i := range n {
				name := string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".png"
				write(tb, pngOf(tb, picture(8, 8, k).RGBA()), dir, split, c, name)
				k++
			}
		}
	}
	return dataConfig("folder", dir)
}

func dataConfig(kind, path string) config.Data {
	c := config.Default().Data
	c.Kind, c.Path = kind, path
	return c
}

func open(tb testing.TB, cfg config.Data, split string) Dataset {
	tb.Helper()
	ds, err := Open(cfg, split)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ds.Close() })
	return ds
}

// refused checks that err is a user's error whose first line holds every word.
func refused(tb testing.TB, err error, words ...string) {
	tb.Helper()
	testkit.Mistake(tb, err, words...)
}

// hugePNG is a PNG whose header claims w×h RGB pixels.
func hugePNG(tb testing.TB, w, h uint32) []byte {
	b := pngOf(tb, image.NewRGBA(image.Rect(0, 0, 1, 1)))
	return patchPNG(b, w, h)
}

func solid(w, h int, c color.Color) image.Image {
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		im.Set(i%w, i/w, c)
	}
	return im
}

// shared is the folder of the real images; the test is skipped without it.
func shared(tb testing.TB, path string) string {
	tb.Helper()
	root := os.Getenv("FLOPS_SHARED")
	if root == "" {
		root = "../../../shared"
	}
	p := filepath.Join(root, path)
	if _, err := os.Stat(p); err != nil {
		tb.Skipf("%s is not there", p)
	}
	return p
}

// inspectPath guesses the kind of dataset at a path and decodes every image of every
// split that is there.
func inspectPath(path string) (Report, error) {
	name, err := Guess(path)
	if err != nil {
		return Report{}, err
	}
	cfg := config.Default().Data
	cfg.Kind, cfg.Path = name, path
	return Inspect(cfg)
}
