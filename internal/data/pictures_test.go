package data

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/uierr"
)

// stored is a file of internal/imagefile's tests.
func stored(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("..", "imagefile", "testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// everywhere puts pictures into a folder, a parquet file and a tar shard, under
// names that say nothing of their kinds.
func everywhere(tb testing.TB, pictures ...[]byte) map[string]config.Data {
	tb.Helper()
	folder, shards, rows := tb.TempDir(), tb.TempDir(), tb.TempDir()
	var members []tarMember
	var table []plainRow
	for i, b := range pictures {
		write(tb, b, folder, "train", "a", fmt.Sprintf("%03d.jpg", i))
		members = append(members, tarMember{name: fmt.Sprintf("%03d.jpg", i), data: b},
			tarMember{name: fmt.Sprintf("%03d.cls", i), data: []byte("0")})
		table = append(table, plainRow{0, b})
	}
	var pq bytes.Buffer
	w := parquet.NewGenericWriter[plainRow](&pq)
	if _, err := w.Write(table); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	write(tb, pq.Bytes(), rows, "train-0.parquet")
	write(tb, tarOf(tb, members...), shards, "train-0.tar")
	return map[string]config.Data{"folder": dataConfig("folder", folder),
		"parquet": dataConfig("parquet", rows), "tar": dataConfig("tar", shards)}
}

// TestPicturesAreTheSameEverywhere reads every kind, and every orientation,
// from all that holds pictures.
func TestPicturesAreTheSameEverywhere(t *testing.T) {
	names := []string{"rgb.jpg", "lossy.webp", "lossless-alpha.webp", "interlaced.gif", "rgb.bmp", "rgba.tif",
		"turn6.jpg", "turn8.png", "turn5.webp", "turn3.tif"}
	var files [][]byte
	for _, n := range names {
		files = append(files, stored(t, n))
	}
	for kind, cfg := range everywhere(t, files...) {
		for _, exif := range []string{"turn", "ignore"} {
			cfg.EXIF = exif
			ds := open(t, cfg, Train)
			if ds.Len() != len(names) {
				t.Fatalf("%s: %d pictures", kind, ds.Len())
			}
			for i, n := range names {
				got, err := ds.Image(i)
				if err != nil {
					t.Fatalf("%s %s: %v", kind, n, err)
				}
				want, err := ReadImage(filepath.Join("..", "imagefile", "testdata", n), cfg)
				if err != nil || got.Width != want.Width || !bytes.Equal(got.Pix, want.Pix) {
					t.Errorf("%s, %s: %s differs from the file alone: %v", kind, exif, n, err)
				}
				if flat := n[0] != 't' || exif == "ignore"; n[4] != '3' && (got.Width > got.Height) != flat {
					t.Errorf("%s, %s: %s has %d×%d pixels", kind, exif, n, got.Width, got.Height)
				}
			}
		}
		r, err := Inspect(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"bmp", "gif", "jpg", "png", "tif", "webp"}; !slices.Equal(r.Splits[0].Formats, want) {
			t.Errorf("%s: inspect found %v", kind, r.Splits[0].Formats)
		}
	}
}

// TestExportedPicturesReadTheSame exports turned pictures: a JPEG keeps its
// bytes and is turned when it is read, all others are written upright.
func TestExportedPicturesReadTheSame(t *testing.T) {
	var files [][]byte
	for n := 1; n <= 8; n++ {
		for _, ext := range []string{"jpg", "png", "webp", "tif"} {
			files = append(files, stored(t, fmt.Sprintf("turn%d.%s", n, ext)))
		}
	}
	for kind, cfg := range everywhere(t, files...) {
		ds, dir := open(t, cfg, Train), t.TempDir()
		if err := Export(ds, dir, "train"); err != nil {
			t.Fatal(err)
		}
		back := open(t, dataConfig("folder", dir), Train)
		if back.Len() != ds.Len() {
			t.Fatalf("%s: %d pictures of %d", kind, back.Len(), ds.Len())
		}
		for i := range ds.Len() {
			want, err := ds.Image(i)
			if err != nil {
				t.Fatal(err)
			}
			got, err := back.Image(i)
			if err != nil || got.Width != want.Width || !bytes.Equal(got.Pix, want.Pix) {
				t.Errorf("%s: %s became another picture as %s: %v", kind, ds.Info(i).Path, back.Info(i).Path, err)
			}
		}
	}
}

// TestGreyBeforeTheSize holds a picture for a model of one channel against
// Pillow's Image.convert("L").resize((8, 8), BILINEAR).
func TestGreyBeforeTheSize(t *testing.T) {
	tr, err := NewTransform(8, 1, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	im, err := tr.Fit(scene(50, 40), "")
	if err != nil {
		t.Fatal(err)
	}
	var grey []byte
	for i := 0; i < len(im.Pix); i += 3 {
		grey = append(grey, im.Pix[i])
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(grey))[:16]; got != "104b3797cd15839b" {
		t.Error(got)
	}
}

// TestPointersInPlaceOfDataAreNamed has what a clone without Git LFS leaves.
func TestPointersInPlaceOfDataAreNamed(t *testing.T) {
	pointer := []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 2214\n")
	for kind, names := range map[string][]string{
		"parquet": {"train-0.parquet"},
		"tar":     {"train-0.tar"},
		"idx":     {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"},
		"cifar10": {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
		"folder":  {"train/a/0.png"},
	} {
		dir := t.TempDir()
		for _, n := range names {
			write(t, pointer, dir, n)
		}
		_, err := Open(dataConfig(kind, dir), Train)
		refused(t, err, "this is a Git LFS pointer")
		if u, ok := uierr.As(err); !ok || !strings.Contains(u.Hint, "git lfs pull") {
			t.Errorf("%s: the hint is %v", kind, u)
		}
	}
}
