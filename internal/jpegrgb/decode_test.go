package jpegrgb

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the sums of testdata anew with djpeg")

// sum is the SHA-256 of an image's pixels.
func sum(rgb []byte) string {
	s := sha256.Sum256(rgb)
	return hex.EncodeToString(s[:])
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stored returns the files that djpeg and its like wrote, by name, without those
// that are not read.
func stored(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, pattern := range []string{"*.jpg", "djpeg/*.jpg"} {
		names, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if !strings.Contains(n, "arithmetic") {
				files[filepath.Base(n)] = read(t, strings.TrimPrefix(n, "testdata/"))
			}
		}
	}
	return files
}

// TestPIL decodes files that PIL 9.4 (libjpeg-turbo 2.1) wrote; testdata/pil.txt
// has the SHA-256 of the pixels that it read back. Those of CMYK files are what
// its convert("RGB") gave.
func TestPIL(t *testing.T) {
	for sc := bufio.NewScanner(bytes.NewReader(read(t, "pil.txt"))); sc.Scan(); {
		var name, want string
		var w, h int
		if _, err := fmt.Sscan(sc.Text(), &name, &w, &h, &want); err != nil {
			t.Fatal(err)
		}
		gw, gh, rgb, err := Decode(read(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if gw != w || gh != h {
			t.Errorf("%s: %d×%d, want %d×%d", name, gw, gh, w, h)
		}
		if sum(rgb) != want {
			t.Errorf("%s: pixels differ from libjpeg's", name)
		}
	}
}

// TestStored compares the pixels of files that scripts/make-jpegs.sh wrote, and
// of the first files of our own encoder, with the sums of what djpeg 2.1.5 made
// of them.
func TestStored(t *testing.T) {
	names := strings.Fields(string(read(t, "djpeg/names.txt")))
	data := map[string][]byte{}
	for _, n := range names {
		data[n] = read(t, "djpeg/"+n+".jpg")
	}
	for seed := range uint64(120) {
		n := fmt.Sprint("seed", seed)
		data[n], names = weird(seed), append(names, n)
	}
	const sums = "testdata/djpeg/sums.txt"
	if *update {
		var out strings.Builder
		for _, n := range names {
			_, _, rgb, ok := djpeg(t, data[n])
			if !ok {
				t.Fatalf("djpeg refuses %s", n)
			}
			fmt.Fprintln(&out, n, sum(rgb))
		}
		if err := os.WriteFile(sums, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for sc := bufio.NewScanner(bytes.NewReader(read(t, "djpeg/sums.txt"))); sc.Scan(); seen++ {
		name, want, _ := strings.Cut(sc.Text(), " ")
		if _, _, rgb, err := Decode(data[name]); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if sum(rgb) != want {
			t.Errorf("%s: pixels differ from djpeg's", name)
		}
	}
	if seen != len(names) {
		t.Errorf("%d sums for %d files", seen, len(names))
	}
}

// TestConfig finds the size in the first bytes.
func TestConfig(t *testing.T) {
	for name, b := range stored(t) {
		w, h, _, err := Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sos := bytes.Index(b, []byte{0xff, mSOS})
		if gw, gh, err := Config(b[:sos]); err != nil || gw != w || gh != h {
			t.Errorf("%s: %d×%d, %v; want %d×%d", name, gw, gh, err, w, h)
		}
		if _, _, err := Config(b[:10]); !isShort(err) {
			t.Errorf("%s: the size from 10 bytes: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range stored(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w, h, rgb, err := Decode(b)
		if err == nil && len(rgb) != 3*w*h {
			t.Fatalf("%d bytes for %d×%d", len(rgb), w, h)
		}
		if cw, ch, cerr := Config(b); err == nil && (cerr != nil || cw != w || ch != h) {
			t.Fatalf("Config says %d×%d, %v; Decode %d×%d", cw, ch, cerr, w, h)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"32x32-s444", "32x32-s420", "32x32-prog"} {
		data := read(b, name+".jpg")
		b.Run(name, func(b *testing.B) {
			b.SetBytes(3 * 32 * 32)
			for b.Loop() {
				if _, _, _, err := Decode(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
