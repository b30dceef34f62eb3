package imagefile

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

// patched is a copy with some bytes replaced.
func patched(b []byte, at int, with ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], with)
	return b
}

// tag returns the place of a tag's value in the directory of a little-endian TIFF.
func tag(tb testing.TB, b []byte, number uint16) int {
	tb.Helper()
	at := int(binary.LittleEndian.Uint32(b[4:]))
	for i := range int(binary.LittleEndian.Uint16(b[at:])) {
		if e := at + 2 + 12*i; binary.LittleEndian.Uint16(b[e:]) == number {
			return e + 8
		}
	}
	tb.Fatalf("no tag %d", number)
	return 0
}

// TestBombsAreRefusedWithoutMemory shows each decoder headers that claim more
// than there is, or than is allowed.
func TestBombsAreRefusedWithoutMemory(t *testing.T) {
	tif, bmp, gif, lossy := file(t, "rgb-raw.tif"), file(t, "rgb.bmp"), file(t, "plain.gif"), file(t, "lossy.webp")
	frame := bytes.IndexByte(gif[13:], 0x2c) + 13
	big := func(at int, b []byte, n uint16) []byte {
		return patched(b, at, byte(n), byte(n>>8), byte(n), byte(n>>8))
	}
	extended := file(t, "animated-place.webp")
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"webp of 268 megapixels":      {big(26, lossy, 0x3fff), "limit"},
		"webp below the limit":        {big(26, lossy, 8000), "cannot hold"},
		"webp with a canvas beyond":   {patched(extended, 24, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "limit"},
		"webp, cut":                   {lossy[:len(lossy)-20], "ends before"},
		"webp without a picture":      {[]byte("RIFF\x04\x00\x00\x00WEBP"), "unexpected EOF"},
		"webp, picture off canvas":    {patched(extended, 24, 3, 0, 0, 3, 0, 0), "canvas"},
		"gif of 4 gigapixels":         {patched(gif, 6, 0xff, 0xff, 0xff, 0xff), "limit"},
		"gif whose frame claims more": {big(frame+5, gif, 8000), "cannot hold"},
		"gif without a picture":       {[]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"), "no picture"},
		"bmp of 400 megapixels":       {patched(bmp, 18, 0x20, 0x4e, 0, 0, 0x20, 0x4e, 0, 0), "limit"},
		"bmp below the limit":         {patched(bmp, 18, 0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0), "cannot hold"},
		"bmp of negative width":       {patched(bmp, 18, 0xff, 0xff, 0xff, 0xff), "limit"},
		"tiff of 4 gigapixels":        {big(tag(t, tif, tagWidth), tif, 0xffff), "limit"},
		"tiff below the limit": {patched(patched(tif, tag(t, tif, tagWidth), 0x40, 0x1f), tag(t, tif, tagHeight), 0x40,
			0x1f), "cannot hold"},
		"tiff, cut": {tif[:7], "without a size"},
		"a word":    {[]byte("BM is no picture, though it begins so"), "neither JPEG nor PNG"},
	} {
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		_, err := Decode(c.data, Options{})
		runtime.ReadMemStats(&b)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if n := b.TotalAlloc - a.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}

// TestUnreadVarietiesAreNamed has files of kinds that are read, in varieties
// that are not.
func TestUnreadVarietiesAreNamed(t *testing.T) {
	bmp, tif, g4 := file(t, "rgb.bmp"), file(t, "rgb-raw.tif"), file(t, "group4.tif")
	set := func(b []byte, number uint16, v byte) []byte { return patched(b, tag(t, b, number), v, 0) }
	for want, data := range map[string][]byte{
		"OS/2":                  patched(bmp, 14, 12),
		"run lengths (RLE)":     patched(bmp, 30, 1),
		"16 bits a pixel":       patched(bmp, 28, 16),
		"unusual":               patched(patched(bmp, 28, 32), 30, 3),
		"compressed by JPEG":    set(tif, tagCompression, 7),
		"of compression 77":     set(tif, tagCompression, 77),
		"CMYK":                  set(tif, tagPhotometric, 5),
		"of colours number 99":  set(tif, tagPhotometric, 99),
		"of 3 samples":          set(tif, tagPhotometric, 1),
		"lie in planes":         set(tif, tagPlanar, 2),
		"not said to be":        untagged(t, file(t, "rgba.tif"), tagExtra),
		"predictor 3":           set(file(t, "predictor.tif"), tagPredictor, 3),
		"which its compression": set(file(t, "predictor.tif"), tagCompression, 32),
		"black nor white":       set(g4, tagPhotometric, 3),
		"CCITT run lengths":     set(g4, tagCompression, 2),
		"of 4 bits":             set(file(t, "gray.tif"), tagBits, 4),
	} {
		if want == "which its compression" { // PackBits is number 32773
			data = patched(data, tag(t, data, tagCompression), 0x05, 0x80)
		}
		if want == "unusual" { // four bytes a pixel have to be there
			data = append(data, make([]byte, 23*17)...)
		}
		_, err := Decode(data, Options{})
		if u, ok := uierr.As(err); !ok || !strings.Contains(u.What, want) || !strings.Contains(u.Hint, "convert") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// untagged turns a tag into one that nobody knows.
func untagged(tb testing.TB, b []byte, number uint16) []byte {
	return patched(b, tag(tb, b, number)-8, byte(number-1), byte((number-1)>>8))
}

// TestFourthSampleIsDropped reads a TIFF whose fourth sample has no meaning, as
// one whose fourth sample is transparency.
func TestFourthSampleIsDropped(t *testing.T) {
	b := file(t, "rgba.tif")
	im, err := Decode(patched(b, tag(t, b, tagExtra), 0), Options{})
	if want := truth(t, "rgba.tif"); err != nil || !bytes.Equal(im.Pix, want.Pix) {
		t.Error("other pixels", err)
	}
}

// TestCheckByTheHead looks at the first bytes of whole files alone.
func TestCheckByTheHead(t *testing.T) {
	for _, name := range files(t) {
		data := file(t, name)
		for n := 20; n < len(data); n += 7 {
			if err := Check(data[:n], int64(len(data))); err != nil {
				t.Fatalf("%s, %d of %d bytes: %v", name, n, len(data), err)
			}
		}
		want := strings.TrimPrefix(filepath.Ext(name), ".")
		if got := Ext(data); got != want {
			t.Errorf("%s: %q", name, got)
		}
		if !HasName(strings.ToUpper(name)) {
			t.Errorf("%s is no name of a picture", name)
		}
	}
	if HasName("labels.csv") || HasName("png") {
		t.Error("names of no pictures")
	}
	if err := Check(nil, 0); err == nil || err.Error() != "the file is empty" {
		t.Error(err)
	}
	if u, ok := uierr.As(Check([]byte("%PDF-1.4"), 900)); !ok || !strings.Contains(u.What, "PDF") {
		t.Error(u)
	}
}

// TestTruncatedFilesDoNotPass cuts pictures; a decoder may only fill in what
// its format lets it.
func TestTruncatedFilesDoNotPass(t *testing.T) {
	for _, name := range []string{"lossless.webp", "rgb.bmp", "rgb-raw.tif", "rgb-tiff_lzw.tif", "plain.gif",
		"palette.bmp"} {
		data := file(t, name)
		if _, err := Decode(data[:len(data)*2/3], Options{}); err == nil {
			t.Errorf("%s: two thirds of it were read", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range files(f) {
		f.Add(file(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if c := find(data); c != nil { // smaller limits, so that the fuzzer is not kept busy by large pictures
			if k, err := c.claim(data, int64(len(data))); err == nil && int64(k.w)*int64(k.h) > 1<<16 {
				return
			}
		}
		im, err := Decode(data, Options{})
		if err == nil && (im.Width < 1 || im.Height < 1 || len(im.Pix) != 3*im.Width*im.Height) {
			t.Fatalf("%d×%d with %d bytes", im.Width, im.Height, len(im.Pix))
		}
	})
}
