package data

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestFolderOrderAndLabels(t *testing.T) {
	cfg := makeFolder(t, 3, "dog", "cat", "Bird")
	write(t, nil, cfg.Path, "train", "cat", ".DS_Store")
	ds := open(t, cfg, Train)
	if !slices.Equal(ds.Classes(), []string{"Bird", "cat", "dog"}) || ds.Len() != 9 {
		t.Fatalf("%v, %d images", ds.Classes(), ds.Len())
	}
	in := ds.Info(3)
	if in.Label != 1 || in.ID != "train/cat/aa.png" || in.Path != filepath.Join(cfg.Path, "train", "cat", "aa.png") {
		t.Errorf("%+v", in)
	}
	im, err := ds.Image(3)
	if err != nil || !bytes.Equal(im.Pix, picture(8, 8, 3).Pix) {
		t.Errorf("image 3: %v", err)
	}
	if !slices.Equal(Counts(ds), []int{3, 3, 3}) {
		t.Error(Counts(ds))
	}
}

func TestFolderTestSplitTakesTheTrainingLabels(t *testing.T) {
	cfg := makeFolder(t, 1, "a", "b", "c")
	if err := os.RemoveAll(filepath.Join(cfg.Path, "test", "a")); err != nil {
		t.Fatal(err)
	}
	ds := open(t, cfg, Test)
	if len(ds.Classes()) != 3 || ds.Info(0).Label != 1 {
		t.Errorf("%v, first label %d", ds.Classes(), ds.Info(0).Label)
	}
	write(t, pngOf(t, picture(8, 8, 1).RGBA()), cfg.Path, "test", "A", "x.png") // sorts before the others
	if ds := open(t, cfg, Test); !slices.Equal(ds.Classes(), []string{"a", "b", "c", "A"}) || ds.Info(0).Label != 3 ||
		ds.Info(1).Label != 1 {
		t.Errorf("%v, first label %d", ds.Classes(), ds.Info(0).Label)
	}
}

func TestFolderMistakes(t *testing.T) {
	cfg := makeFolder(t, 2, "a", "b")
	c := cfg
	c.Kind = "foldr"
	_, err := Open(c, Train)
	refused(t, err, `"foldr"`, `"folder"`)
	c = cfg
	c.Path = filepath.Join(cfg.Path, "nowhere")
	_, err = Open(c, Train)
	refused(t, err, "nowhere")
	c = cfg
	c.Train = "../x"
	_, err = Open(c, Train)
	refused(t, err, "../x", "leads out")
	c = cfg
	c.Train = "training"
	_, err = Open(c, Train)
	refused(t, err, "training")
	c = cfg
	c.Path = t.TempDir()
	if err := os.Mkdir(filepath.Join(c.Path, "train"), 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = Open(c, Train)
	refused(t, err, "no class folders")
	if err := os.Mkdir(filepath.Join(c.Path, "train", "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = Open(c, Train)
	refused(t, err, `"empty" is empty`)
	_, err = Open(cfg, "dev")
	refused(t, err, `"dev"`)
	_, err = Open(cfg, Validation)
	refused(t, err, "validation")
	for _, v := range []float64{-0.1, 1, 2} {
		c = cfg
		c.Validation = v
		_, err = Open(c, Train)
		refused(t, err, "data.validation")
	}
}

func TestFlatFolderIsATestSplitOnly(t *testing.T) {
	cfg := makeFolder(t, 2, "a", "b")
	cfg.Path = filepath.Join(cfg.Path, "train")
	if ds := open(t, cfg, Test); ds.Len() != 4 {
		t.Error(ds.Len())
	}
	_, err := Open(cfg, Train)
	refused(t, err, "no such folder or file")
	cfg.Train = "."
	if ds := open(t, cfg, Train); ds.Len() != 4 {
		t.Error(ds.Len())
	}
}

func TestBrokenImages(t *testing.T) {
	cfg := makeFolder(t, 4, "a", "b")
	whole := pngOf(t, picture(40, 40, 9).RGBA())
	write(t, whole[:len(whole)/2], cfg.Path, "train", "a", "cut.png")
	write(t, []byte("hello"), cfg.Path, "train", "b", "notes.txt")
	write(t, []byte("x"), cfg.Path, "train", "b", "deeper", "x.png")
	write(t, []byte("x"), cfg.Path, "train", "b", "words.png")
	_, err := Open(cfg, Train)
	refused(t, err, "1 picture", "class folders are not searched", "deeper")
	cfg.OnBad = "skip"
	ds := open(t, cfg, Train)
	if ds.Len() != 8 || len(Skipped(ds)) != 2 {
		t.Fatalf("%d images, skipped %v", ds.Len(), Skipped(ds))
	}
	for i, want := range []string{"cut.png", "words.png"} {
		if b := Skipped(ds)[i]; filepath.Base(b.Path) != want || b.Reason == "" {
			t.Errorf("%+v", b)
		}
	}
	if l := LeftOut(ds); len(l) != 2 || l[0].Count != 1 || !l[0].Lost || l[1].Lost ||
		filepath.Base(l[1].First) != "notes.txt" {
		t.Errorf("%+v", l)
	}
	write(t, []byte("x"), cfg.Path, "train", "c", "x.png")
	_, err = Open(cfg, Train)
	refused(t, err, `"c"`, "no readable images")
}

func TestClassesInTheGivenOrder(t *testing.T) {
	cfg := makeFolder(t, 2, "a", "b", "c")
	cfg.Classes = []string{"c", "a"}
	ds := open(t, cfg, Train)
	if !slices.Equal(ds.Classes(), cfg.Classes) || ds.Len() != 4 || ds.Info(0).Label != 1 || ds.Info(3).Label != 0 {
		t.Errorf("%v %+v %+v", ds.Classes(), ds.Info(0), ds.Info(3))
	}
	cfg.Classes = []string{"bb"}
	_, err := Open(cfg, Train)
	refused(t, err, `"bb"`, `"b"`)
	cfg.Classes = []string{"a", "a"}
	_, err = Open(cfg, Train)
	refused(t, err, "twice")
}

func ids(ds Dataset) map[string]bool {
	out := map[string]bool{}
	for i := range ds.Len() {
		out[ds.Info(i).ID] = true
	}
	return out
}

func TestSplitsAndFewShot(t *testing.T) {
	cfg := makeFolder(t, 20, "a", "b")
	cfg.Validation = 0.25
	train, val := ids(open(t, cfg, Train)), ids(open(t, cfg, Validation))
	if len(train) != 30 || len(val) != 10 {
		t.Fatalf("%d and %d images", len(train), len(val))
	}
	for id := range val {
		if train[id] {
			t.Errorf("%s is in both", id)
		}
	}
	if !slices.Equal(Counts(open(t, cfg, Validation)), []int{5, 5}) {
		t.Error("the validation split is not stratified")
	}
	if fmt.Sprint(ids(open(t, cfg, Validation))) != fmt.Sprint(val) {
		t.Error("the split is not repeatable")
	}
	cfg.FewShot = 4
	few := open(t, cfg, Train)
	if !slices.Equal(Counts(few), []int{4, 4}) {
		t.Error(Counts(few))
	}
	for id := range ids(few) {
		if !train[id] {
			t.Errorf("%s came from elsewhere", id)
		}
	}
	cfg.SplitSeed = 1
	if fmt.Sprint(ids(open(t, cfg, Train))) == fmt.Sprint(ids(few)) {
		t.Error("split_seed changes nothing")
	}
	cfg.SplitSeed, cfg.Classes = 0, []string{"b"}
	for id := range ids(open(t, cfg, Train)) {
		if !ids(few)[id] {
			t.Errorf("the class filter changed b's subset: %s", id)
		}
	}
	if n := open(t, cfg, Test).Len(); n != 20 {
		t.Errorf("the test split has %d images of b", n)
	}
}

func TestRealImages(t *testing.T) {
	cfg := dataConfig("folder", shared(t, "data/cifar5"))
	cfg.OnBad = "skip"
	for split, n := range map[string]int{Train: 5000, Test: 1500} {
		ds := open(t, cfg, split)
		if ds.Len() != n || len(Skipped(ds)) != 0 || !slices.Equal(ds.Classes(), []string{"automobile", "cat", "dog", "horse",
			"truck"}) {
			t.Errorf("%s: %d images of %v, skipped %v", split, ds.Len(), ds.Classes(), Skipped(ds))
		}
		im, err := ds.Image(n - 1)
		if err != nil || im.Width != 32 || im.Height != 32 {
			t.Errorf("%v", err)
		}
	}
}
