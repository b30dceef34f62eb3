package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image/color"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/uierr"
)

// patchPNG sets the size in a PNG's header, with a right checksum.
func patchPNG(b []byte, w, h uint32) []byte {
	b = bytes.Clone(b)
	binary.BigEndian.PutUint32(b[16:], w)
	binary.BigEndian.PutUint32(b[20:], h)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestBombsAreRefusedWithoutMemory(t *testing.T) {
	jpg := jpegOf(t, solid(16, 16, color.White))
	at := bytes.Index(jpg, []byte{0xff, 0xc0})
	big := bytes.Clone(jpg)
	binary.BigEndian.PutUint16(big[at+5:], 20000)
	binary.BigEndian.PutUint16(big[at+7:], 20000)
	lie := bytes.Clone(jpg)
	binary.BigEndian.PutUint16(lie[at+5:], 8000)
	binary.BigEndian.PutUint16(lie[at+7:], 8000)
	for name, b := range map[string][]byte{
		"png, 100 megapixels":    hugePNG(t, 10000, 10000),
		"png, below the limit":   hugePNG(t, 8000, 8000),
		"png, 2^31 across":       hugePNG(t, 1<<31-1, 1),
		"jpeg, 400 megapixels":   big,
		"jpeg, below the limit":  lie,
		"text":                   []byte("not an image"),
		"nothing":                nil,
		"png, cut":               pngOf(t, picture(40, 40, 1).RGBA())[:200],
		"jpeg, cut in its table": jpg[:40],
	} {
		dir := t.TempDir()
		path := write(t, b, dir, "x.bin")
		n := testkit.Allocated(func() {
			_, err := ReadImage(path, config.Data{})
			refused(t, err, path)
		})
		if n > 4<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}

func TestReadImageRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	_, err := ReadImage(dir, config.Data{})
	refused(t, err, dir, "not a regular file")
	_, err = ReadImage(filepath.Join(dir, "gone.png"), config.Data{})
	refused(t, err, "gone.png")
	big := write(t, nil, dir, "sparse.png")
	if err := os.Truncate(big, MaxFileBytes+1); err != nil {
		t.Skip(err)
	}
	_, err = ReadImage(big, config.Data{})
	refused(t, err, "sparse.png", "limit")
}

// TestReadImageNamesTheKind tells a JPEG that another program can convert from
// one that is damaged.
func TestReadImageNamesTheKind(t *testing.T) {
	jpg := jpegOf(t, picture(40, 40, 1).RGBA())
	sof := bytes.Index(jpg, []byte{0xff, 0xc0})
	lossless := bytes.Clone(jpg)
	lossless[sof+1] = 0xc3
	deep := bytes.Clone(jpg)
	deep[sof+4] = 12
	for words, b := range map[string][]byte{
		"lossless JPEG (SOF3)":                lossless,
		"12 bits a sample":                    deep,
		"the file ends before its image does": jpg[:len(jpg)-20],
	} {
		path := write(t, b, t.TempDir(), "x.jpg")
		_, err := ReadImage(path, config.Data{})
		refused(t, err, path, words)
		var user *uierr.Error
		if want := words[0] != 't'; errors.As(err, &user) &&
			(user.Hint == "convert it to a baseline or progressive JPEG or to PNG") != want {
			t.Errorf("%s: the hint is %q", words, user.Hint)
		}
	}
}
