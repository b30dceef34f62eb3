package data

import (
	"bytes"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/config"
)

func TestInspect(t *testing.T) {
	cfg := makeFolder(t, 3, "a", "b")
	write(t, jpegOf(t, picture(20, 10, 1).RGBA()), cfg.Path, "train", "a", "big.jpg")
	write(t, []byte("junk"), cfg.Path, "train", "b", "junk.png")
	r, err := inspectPath(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Splits[0]
	if r.Kind != "folder" || len(r.Splits) != 2 || s.Name != "train" || s.Images != 8 ||
		s.Classes[0] != (ClassCount{"a", 4}) {
		t.Errorf("%+v", r)
	}
	if !slices.Equal(s.Sizes, []SizeCount{{8, 8, 6}, {20, 10, 1}}) || !slices.Equal(s.Formats, []string{"jpg", "png"}) {
		t.Errorf("%+v", s)
	}
	if len(s.Broken) != 1 || filepath.Base(s.Broken[0].Path) != "junk.png" ||
		s.Broken[0].Reason != "neither JPEG nor PNG, WebP, GIF, BMP or TIFF" {
		t.Errorf("%+v", s.Broken)
	}
}

func TestGuess(t *testing.T) {
	parquet := t.TempDir()
	write(t, parquetOf(t, 1, 1), parquet, "data", "train-0.parquet")
	tarred := t.TempDir()
	write(t, tarOf(t), tarred, "x.tar")
	c100 := t.TempDir()
	write(t, record(0, 1, 2), c100, "train.bin")
	for path, want := range map[string]string{
		makeCIFAR10(t): "cifar10", c100: "cifar100", makeIDX(t, gz, ".gz"): "idx", parquet: "parquet", tarred: "tar",
		makeFolder(t, 1, "a").Path: "folder",
	} {
		if got, err := Guess(path); err != nil || got != want {
			t.Errorf("%s: %q, %v", want, got, err)
		}
	}
	_, err := inspectPath(t.TempDir())
	refused(t, err, "no data of any known kind")
	_, err = inspectPath(filepath.Join(t.TempDir(), "gone"))
	refused(t, err, "gone")
}

func TestContactSheet(t *testing.T) {
	cfg := makeFolder(t, 3, "a", "b")
	ds := open(t, cfg, Train)
	os.Remove(ds.Info(0).Path)
	sheet := ContactSheet(ds, 400)
	if b := sheet.Bounds(); b.Dx() > 400 || b.Dy() < 2*sheetThumb {
		t.Errorf("%v", b)
	}
	if c := sheet.At(sheetLabel+1, sheetGap+2); c != (color.RGBA{230, 200, 200, 255}) {
		t.Errorf("the unreadable image's field is %v", c)
	}
	p := picture(8, 8, 1).Pix
	if c := sheet.At(sheetLabel+sheetThumb+sheetGap, sheetGap); c != (color.RGBA{p[0], p[1], p[2], 255}) {
		t.Errorf("the second image begins with %v", c)
	}
}

func TestExport(t *testing.T) {
	cfg := makeFolder(t, 3, "a", "b")
	jpg := jpegOf(t, picture(20, 10, 1).RGBA())
	write(t, jpg, cfg.Path, "train", "a", "zz.jpg")
	cfg.Classes = []string{"b", "a"}
	ds, dir := open(t, cfg, Train), t.TempDir()
	if err := Export(ds, dir, "train"); err != nil {
		t.Fatal(err)
	}
	back := open(t, dataConfig("folder", dir), Train)
	if back.Len() != 7 || !slices.Equal(Counts(back), []int{4, 3}) {
		t.Fatalf("%d images, %v", back.Len(), Counts(back))
	}
	for i := range back.Len() {
		x, err := back.Image(i)
		y, err2 := ds.Image(i)
		if err != nil || err2 != nil || !bytes.Equal(x.Pix, y.Pix) {
			t.Errorf("image %d: %v %v", i, err, err2)
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, "train", "a", "00003.jpg"))
	if err != nil || !bytes.Equal(got, jpg) {
		t.Errorf("the JPEG's bytes changed: %v", err)
	}
	refused(t, Export(ds, dir, "train"), "is there already")
	refused(t, Export(ds, dir, "../train"), "../train")
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	os.Remove(ds.Info(2).Path)
	refused(t, Export(ds, dir, "again"), ds.Info(2).Path)
	if _, err := os.Stat(filepath.Join(dir, "again")); err == nil {
		t.Error("half an export was left")
	}
}

func TestExportOfPixels(t *testing.T) {
	ds := open(t, dataConfig("cifar10", makeCIFAR10(t)), Train)
	dir := t.TempDir()
	if err := Export(ds, dir, "train"); err != nil {
		t.Fatal(err)
	}
	im, err := ReadImage(filepath.Join(dir, "train", "deer", "00000.png"), config.Data{})
	want, _ := ds.Image(4)
	if err != nil || !bytes.Equal(im.Pix, want.Pix) {
		t.Error(err)
	}
}

func TestFolderNames(t *testing.T) {
	got, err := folderNames([]string{"a/b", "..", "C:", ".git", "tail."})
	if err != nil || !slices.Equal(got, []string{"a_b", "_", "C_", "_.git", "tail"}) {
		t.Errorf("%q %v", got, err)
	}
	_, err = folderNames([]string{"a/b", "A_b"})
	refused(t, err, "share a folder")
}

func TestChecksum(t *testing.T) {
	cfg := makeFolder(t, 3, "a", "b")
	want := Checksum(open(t, cfg, Train))
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(cfg.Path, moved); err != nil {
		t.Fatal(err)
	}
	cfg.Path = moved
	if Checksum(open(t, cfg, Train)) != want {
		t.Error("the checksum depends on the place")
	}
	write(t, pngOf(t, picture(8, 8, 77).RGBA()), moved, "train", "a", "aa.png")
	if Checksum(open(t, cfg, Train)) == want {
		t.Error("the checksum does not depend on the content")
	}
}

func TestShapes(t *testing.T) {
	cfg := dataConfig("shapes", "")
	cfg.Count, cfg.TestCount = 200, 40
	ds := open(t, cfg, Train)
	if !slices.Equal(Counts(ds), []int{50, 50, 50, 50}) || open(t, cfg, Test).Len() != 40 {
		t.Fatal(Counts(ds))
	}
	again := open(t, cfg, Train)
	seen := map[string]bool{}
	for i := range ds.Len() {
		a, _ := ds.Image(i)
		b, _ := again.Image(i)
		if !bytes.Equal(a.Pix, b.Pix) {
			t.Fatalf("image %d differs from itself", i)
		}
		words, v := Attributes(ds, i), AttributeVector(ds, i)
		if len(words) != len(shapeWords) || words[0] != ds.Classes()[ds.Info(i).Label] || len(v) != len(Vocabulary(ds)) {
			t.Fatalf("image %d: %v", i, words)
		}
		for _, w := range words {
			seen[w] = true
			if v[slices.Index(Vocabulary(ds), w)] != 1 {
				t.Fatalf("%q is not in the vector", w)
			}
		}
	}
	if len(seen) != len(Vocabulary(ds)) {
		t.Errorf("words seen: %v", seen)
	}
	test, _ := open(t, cfg, Test).Image(0)
	if a, _ := ds.Image(0); bytes.Equal(a.Pix, test.Pix) {
		t.Error("the test split repeats the training images")
	}
	cfg.SplitSeed = 1
	other, _ := open(t, cfg, Train).Image(0)
	if a, _ := ds.Image(0); bytes.Equal(a.Pix, other.Pix) {
		t.Error("the seed changes nothing")
	}
	if Attributes(open(t, makeFolder(t, 1, "a"), Train), 0) != nil {
		t.Error("a folder has no attributes")
	}
	cfg.Classes = []string{"rows", "disc"}
	few := open(t, cfg, Train)
	if words := Attributes(few, 1); few.Len() != 100 || words[0] != "rows" || few.Info(1).Label != 0 {
		t.Errorf("%d images, %v", few.Len(), words)
	}
	cfg.Count = 0
	_, err := Open(cfg, Train)
	refused(t, err, "data.count")
	cfg.Count, cfg.Size = 10, 4
	_, err = Open(cfg, Train)
	refused(t, err, "data.size")
}

// TestShapesAttributesAreInThePicture finds the figure by its colour and
// compares its place with the words.
func TestShapesAttributesAreInThePicture(t *testing.T) {
	cfg := dataConfig("shapes", "")
	cfg.Count = 120
	ds := open(t, cfg, Train)
	for i := range ds.Len() {
		im, _ := ds.Image(i)
		var x, y, n float64
		for p := range im.Width * im.Height {
			r, g, b := im.Pix[3*p], im.Pix[3*p+1], im.Pix[3*p+2]
			if max(r, g, b)-min(r, g, b) > 90 { // the ground is gray
				x, y, n = x+float64(p%im.Width), y+float64(p/im.Width), n+1
			}
		}
		x, y = x/n/float64(im.Width-1), y/n/float64(im.Height-1)
		words := Attributes(ds, i)
		for _, at := range []struct {
			v    float64
			word string
			low  string
			high string
		}{{y, words[2], "top", "bottom"}, {x, words[3], "left", "right"}} {
			if at.word == at.low && at.v >= 0.5 || at.word == at.high && at.v <= 0.5 {
				t.Errorf("image %d %v: the figure's middle is at %.2f, %.2f", i, words, x, y)
			}
		}
	}
}
