package imagefile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

// TestOrientations compares every kind of file and orientation with PIL's
// exif_transpose (TestPixelsArePILs has the pixels of those that are turned).
func TestOrientations(t *testing.T) {
	for _, ext := range []string{"png", "jpg", "webp", "tif"} {
		upright, err := Decode(file(t, "turn1."+ext), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= 8; n++ {
			data := file(t, fmt.Sprintf("turn%d.%s", n, ext))
			turned, err := Decode(data, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if (turned.Width == upright.Width) != (n < 5) {
				t.Errorf("%s %d: %d×%d", ext, n, turned.Width, turned.Height)
			}
			kept, err := Decode(data, Options{KeepOrientation: true})
			if err != nil || kept.Width != upright.Width || !bytes.Equal(kept.Pix, upright.Pix) {
				t.Errorf("%s %d: not left as it is stored: %v", ext, n, err)
			}
		}
	}
}

// exifOf is EXIF with one tag.
func exifOf(order binary.AppendByteOrder, magic string, kind uint16, count uint32, value []byte) []byte {
	b := order.AppendUint32([]byte(magic), 8)
	b = order.AppendUint16(b, 1)
	b = order.AppendUint16(b, tagOrientation)
	b = order.AppendUint16(b, kind)
	b = order.AppendUint32(b, count)
	b = append(b, slices.Concat(value, make([]byte, 4))[:4]...)
	return order.AppendUint32(b, 0)
}

func TestMalformedEXIFTurnsNothing(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	good := exifOf(le, "II\x2a\x00", 3, 1, []byte{6, 0})
	for name, c := range map[string]struct {
		exif []byte
		want int
	}{
		"good":                {good, 6},
		"prefixed":            {append([]byte("Exif\x00\x00"), good...), 6},
		"prefixed twice":      {append([]byte("Exif\x00\x00Exif\x00\x00"), good...), 6},
		"big-endian":          {exifOf(be, "MM\x00\x2a", 3, 1, []byte{0, 8}), 8},
		"a long":              {exifOf(be, "MM\x00\x2a", 4, 1, []byte{0, 0, 0, 3}), 3},
		"a byte":              {exifOf(le, "II\x2a\x00", 1, 1, []byte{5}), 5},
		"two shorts":          {exifOf(le, "II\x2a\x00", 3, 2, []byte{7, 0, 1, 0}), 7},
		"nothing":             {nil, 1},
		"zero":                {exifOf(le, "II\x2a\x00", 3, 1, []byte{0, 0}), 1},
		"nine":                {exifOf(le, "II\x2a\x00", 3, 1, []byte{9, 0}), 1},
		"text":                {exifOf(le, "II\x2a\x00", 2, 2, []byte("6\x00")), 1},
		"a type that is none": {exifOf(le, "II\x2a\x00", 99, 1, []byte{6, 0}), 1},
		"no values":           {exifOf(le, "II\x2a\x00", 3, 0, []byte{6, 0}), 1},
		"values elsewhere":    {exifOf(le, "II\x2a\x00", 4, 1<<31, []byte{0xff, 0xff, 0xff, 0xff}), 1},
		"other magic":         {exifOf(le, "II\x2b\x00", 3, 1, []byte{6, 0}), 1},
		"mixed order":         {exifOf(be, "II\x2a\x00", 3, 1, []byte{0, 6}), 1},
		"directory outside":   {[]byte("II\x2a\x00\xff\xff\xff\xff"), 1},
		"cut in its entry":    {good[:15], 1},
		"cut in its header":   {good[:6], 1},
	} {
		if got := (metadata{exif: c.exif}).orientation(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	for xmp, want := range map[string]int{`tiff:Orientation="8"`: 8, "<tiff:Orientation>3</tiff:Orientation>": 3,
		`tiff:Orientation="9"`: 1, `Orientation="3"`: 1} {
		if got := (metadata{xmp: []byte(xmp)}).orientation(); got != want {
			t.Errorf("%s: %d, want %d", xmp, got, want)
		}
		if got := (metadata{exif: good, xmp: []byte(xmp)}).orientation(); got != 6 {
			t.Errorf("%s over EXIF: %d", xmp, got)
		}
	}
}

func FuzzOrientation(f *testing.F) {
	f.Add(exifOf(binary.LittleEndian, "II\x2a\x00", 3, 1, []byte{6, 0}), []byte(`tiff:Orientation="8"`))
	f.Add(exifOf(binary.BigEndian, "MM\x00\x2a", 4, 3, []byte{0, 0, 0, 8}), []byte{})
	f.Fuzz(func(t *testing.T, exif, xmp []byte) {
		if n := (metadata{exif, xmp}).orientation(); n < 1 || n > 8 {
			t.Fatalf("orientation %d", n)
		}
	})
}
