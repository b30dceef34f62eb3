package imagefile

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

// truth is the pixels that PIL reads from a file of testdata
// (scripts/make-pictures.py).
func truth(tb testing.TB, name string) *Image {
	tb.Helper()
	im, err := png.Decode(bytes.NewReader(file(tb, filepath.Join("rgb", name+".png"))))
	if err != nil {
		tb.Fatal(err)
	}
	return fromImage(im)
}

func file(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// files are the pictures of testdata.
func files(tb testing.TB) []string {
	tb.Helper()
	entries, err := os.ReadDir("testdata")
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	if len(names) < 80 {
		tb.Fatalf("testdata has %d files", len(names))
	}
	return names
}

func TestPixelsArePILs(t *testing.T) {
	for _, name := range files(t) {
		t.Run(name, func(t *testing.T) {
			want := truth(t, name)
			got, err := Decode(file(t, name), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got.Width != want.Width || got.Height != want.Height {
				t.Fatalf("%d×%d, PIL has %d×%d", got.Width, got.Height, want.Width, want.Height)
			}
			if i, n := differs(got.Pix, want.Pix); n > 0 {
				t.Errorf("%d of %d values differ, the first at %d,%d: %v, PIL has %v", n, len(got.Pix),
					i/3%got.Width, i/3/got.Width, got.Pix[i/3*3:i/3*3+3], want.Pix[i/3*3:i/3*3+3])
			}
		})
	}
}

// differs counts the values that differ; i is the first.
func differs(a, b []uint8) (i, n int) {
	for k := range a {
		if a[k] != b[k] {
			if n == 0 {
				i = k
			}
			n++
		}
	}
	return i, n
}
