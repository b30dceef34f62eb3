package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

// idxFile is an IDX file of unsigned bytes.
func idxFile(data []byte, dims ...uint32) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, data...)
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func makeIDX(tb testing.TB, pack func([]byte) []byte, ext string) string {
	dir := tb.TempDir()
	write(tb, pack(idxFile([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 2, 3)), dir, "train-images-idx3-ubyte"+ext)
	write(tb, pack(idxFile([]byte{4, 1}, 2)), dir, "train-labels-idx1-ubyte"+ext)
	write(tb, pack(idxFile([]byte{1, 2, 3, 4, 5, 6}, 1, 2, 3)), dir, "t10k-images-idx3-ubyte"+ext)
	write(tb, pack(idxFile([]byte{0}, 1)), dir, "t10k-labels-idx1-ubyte"+ext)
	return dir
}

func TestIDX(t *testing.T) {
	same := func(b []byte) []byte { return b }
	sums := map[string]bool{}
	for ext, pack := range map[string]func([]byte) []byte{"": same, ".gz": gz} {
		cfg := dataConfig("idx", makeIDX(t, pack, ext))
		ds := open(t, cfg, Train)
		if ds.Len() != 2 || len(ds.Classes()) != 5 || ds.Info(0).Label != 4 {
			t.Fatalf("%s: %d images, %v", ext, ds.Len(), ds.Classes())
		}
		im, err := ds.Image(1)
		if err != nil || im.Width != 3 || im.Height != 2 || !bytes.Equal(im.Pix[:6], []byte{7, 7, 7, 8, 8, 8}) {
			t.Errorf("%s: %v %v", ext, im, err)
		}
		if n := len(open(t, cfg, Test).Classes()); n != 5 {
			t.Errorf("the test split has %d classes", n)
		}
		sums[Checksum(ds)] = true
	}
	if len(sums) != 1 {
		t.Error("packed and unpacked files differ in their checksum")
	}
}

func TestIDXOfColourImages(t *testing.T) {
	dir := t.TempDir()
	write(t, idxFile([]byte{1, 2, 3, 4, 5, 6}, 1, 1, 2, 3), dir, "train-images-idx4-ubyte")
	write(t, idxFile([]byte{0}, 1), dir, "train-labels-idx1-ubyte")
	im, err := open(t, dataConfig("idx", dir), Train).Image(0)
	if err != nil || !bytes.Equal(im.Pix, []byte{1, 2, 3, 4, 5, 6}) {
		t.Error(im, err)
	}
}

func TestIDXDamage(t *testing.T) {
	images, labels := "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
	good := idxFile([]byte{1, 2, 3, 4}, 1, 2, 2)
	for what, b := range map[string][]byte{
		"shorter than":       {0, 0},
		"does not begin":     []byte("PK\x03\x04...."),
		"type 0x0d":          append([]byte{0, 0, 0x0d, 1, 0, 0, 0, 1}, 0),
		"is 0":               idxFile(nil, 1, 0, 2),
		"claims":             good[:len(good)-1],
		"has bytes after":    append(bytes.Clone(good), 0),
		"cannot hold them":   idxFile(nil, 1<<10, 1<<10, 1<<10),
		"claims more than":   idxFile(nil, 1<<31, 1<<31, 1<<31),
		"not those of image": idxFile([]byte{1}, 1),
	} {
		dir := t.TempDir()
		write(t, b, dir, images)
		write(t, idxFile([]byte{1}, 1), dir, labels)
		n := testkit.Allocated(func() {
			_, err := Open(dataConfig("idx", dir), Train)
			refused(t, err, images, what)
		})
		if n > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", what, n)
		}
	}
	dir := makeIDX(t, gz, ".gz")
	cfg := dataConfig("idx", dir)
	path := filepath.Join(dir, images+".gz")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-5] ^= 1 // the checksum
	write(t, b, path)
	_, err = Open(cfg, Train)
	refused(t, err, images)
	write(t, b[:len(b)-9], path)
	_, err = Open(cfg, Train)
	refused(t, err, images)
	write(t, gz(idxFile([]byte{1, 2, 3}, 3)), dir, labels+".gz")
	write(t, gz(good), path)
	_, err = Open(cfg, Train)
	refused(t, err, labels, "1 images")
	write(t, good, dir, "emnist-"+images)
	_, err = Open(cfg, Train)
	refused(t, err, "2 files")
	_, err = Open(dataConfig("idx", t.TempDir()), Train)
	refused(t, err, "train-images")
}

func FuzzIDX(f *testing.F) {
	f.Add(idxFile([]byte{1, 2, 3, 4}, 1, 2, 2))
	f.Add(idxFile(nil, 1<<31, 1<<31))
	f.Fuzz(func(t *testing.T, b []byte) {
		dims, pix, err := parseIDX(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		n := 1
		for _, d := range dims {
			n *= d
		}
		if n != len(pix) || n > len(b) {
			t.Fatalf("%v with %d bytes", dims, len(pix))
		}
	})
}
