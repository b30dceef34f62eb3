package jpegrgb

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestPIL decodes files that PIL 9.4 (libjpeg-turbo 2.1) wrote; testdata/pil.txt
// has the SHA-256 of the pixels that it read back.
func TestPIL(t *testing.T) {
	f, err := os.Open("testdata/pil.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var name, sum string
		var w, h, total int
		if _, err := fmt.Sscan(sc.Text(), &name, &w, &h, &sum, &total); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		gw, gh, rgb, err := Decode(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if gw != w || gh != h {
			t.Errorf("%s: %d×%d, want %d×%d", name, gw, gh, w, h)
		}
		if strings.Contains(name, "prog") { // image/jpeg decodes these: within one level on average
			n := 0
			for _, v := range rgb {
				n += int(v)
			}
			if d := n - total; d > len(rgb) || d < -len(rgb) {
				t.Errorf("%s: mean is off by %d levels", name, d/len(rgb))
			}
			continue
		}
		if s := sha256.Sum256(rgb); hex.EncodeToString(s[:]) != sum {
			t.Errorf("%s: pixels differ from libjpeg's", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, n := range []string{"17x13-s420", "33x18-s422", "5x40-gray", "32x32-prog"} {
		b, err := os.ReadFile("testdata/" + n + ".jpg")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w, h, rgb, err := Decode(b)
		if err == nil && len(rgb) != 3*w*h {
			t.Fatalf("%d bytes for %d×%d", len(rgb), w, h)
		}
	})
}

func TestTruncated(t *testing.T) {
	b, err := os.ReadFile("testdata/32x32-s420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(b)*3/4; n += 7 {
		if _, _, _, err := Decode(b[:n]); err == nil {
			t.Fatalf("%d of %d bytes were taken for a whole image", n, len(b))
		}
	}
	if _, _, _, err := Decode(bytes.Repeat([]byte{0xff}, 100)); err == nil {
		t.Fatal("garbage was taken for an image")
	}
}
