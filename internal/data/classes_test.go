package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/flops-vit/flops/internal/uierr"
)

const composed, decomposed = "caf\u00e9", "cafe\u0301"

func TestMatch(t *testing.T) {
	if got := Match([]string{"c", "a", "x", decomposed}, []string{"a", "b", "c", composed}); !slices.Equal(got,
		[]int{2, 0, -1, 3}) {
		t.Error(got)
	}
	if got := Match([]string{decomposed}, []string{composed, decomposed}); got[0] != 1 {
		t.Error("the name that is equal comes first", got)
	}
	refused(t, distinct("x", []string{"a", "b", "a"}), "x", `"a"`)
	refused(t, distinct("x", []string{composed, decomposed}), `\u00e9`, `\u0301`)
}

// namesOf is the metadata of Hugging Face's datasets for a label column.
func namesOf(names ...string) parquet.WriterOption {
	return parquet.KeyValueMetadata("huggingface", fmt.Sprintf(
		`{"info":{"features":{"label":{"names":["%s"],"_type":"ClassLabel"}}}}`, strings.Join(names, `","`)))
}

// classesOf lists the class of each image, in the order of the dataset.
func classesOf(ds Dataset) []string {
	var out []string
	for i := range ds.Len() {
		out = append(out, ds.Classes()[ds.Info(i).Label])
	}
	return out
}

// The labels of parquetOf are 0, 1, 2, 0: a file with its names in another order
// means other classes.
func TestParquetClassesByName(t *testing.T) {
	dir := t.TempDir()
	write(t, parquetOf(t, 4, 4, namesOf("cat", "dog", "eel")), dir, "train-00000-of-00002.parquet")
	write(t, parquetOf(t, 4, 4, namesOf("eel", "cat", "dog")), dir, "train-00001-of-00002.parquet")
	write(t, parquetOf(t, 3, 4, namesOf("dog", "eel", "cat")), dir, "test-00000-of-00001.parquet")
	cfg := dataConfig("parquet", dir)
	ds := open(t, cfg, Train)
	if got := classesOf(ds); !slices.Equal(got, []string{"cat", "dog", "eel", "cat", "eel", "cat", "dog", "eel"}) {
		t.Error(got)
	}
	test := open(t, cfg, Test)
	if got := classesOf(test); !slices.Equal(got, []string{"dog", "eel", "cat"}) ||
		!slices.Equal(test.Classes(), ds.Classes()) {
		t.Error(got, test.Classes())
	}
	r, err := Inspect(cfg)
	if err != nil || r.Splits[1].Classes[0] != (ClassCount{"cat", 1}) || r.Splits[0].Classes[0] != (ClassCount{"cat", 3}) {
		t.Errorf("%+v %v", r, err)
	}
	out := t.TempDir()
	if err := Export(ds, out, "train"); err != nil {
		t.Fatal(err)
	}
	back := open(t, dataConfig("folder", out), Train)
	if !slices.Equal(Counts(back), Counts(ds)) {
		t.Error(Counts(back), Counts(ds))
	}
	for c := range ds.Classes() { // each class's pictures in their order
		var a, b []string
		for i := range ds.Len() {
			for _, s := range []struct {
				ds  Dataset
				sum *[]string
			}{{ds, &a}, {back, &b}} {
				if s.ds.Info(i).Label == c {
					im, err := s.ds.Image(i)
					if err != nil {
						t.Fatal(err)
					}
					*s.sum = append(*s.sum, string(im.Pix))
				}
			}
		}
		if !slices.Equal(a, b) {
			t.Errorf("the pictures of %s changed", ds.Classes()[c])
		}
	}

	write(t, parquetOf(t, 4, 4, namesOf("cat", "dog", "fox")), dir, "train-00001-of-00002.parquet")
	_, err = Open(cfg, Train)
	refused(t, err, "train-00001", "cat, dog, fox", "train-00000", "cat, dog, eel")
	write(t, parquetOf(t, 4, 4), dir, "train-00001-of-00002.parquet")
	_, err = Open(cfg, Train)
	refused(t, err, "train-00001", "numbers without names", "train-00000")
	write(t, parquetOf(t, 4, 4, namesOf("cat", "dog", "cat")), dir, "train-00001-of-00002.parquet")
	_, err = Open(cfg, Train)
	refused(t, err, "train-00001", "two classes")
}

// Lists that are too long to be compared by eye are told by what they do not
// share.
func TestDifferenceOfLongLists(t *testing.T) {
	names := numbers(30)
	others := append(slices.Clone(names[:29]), "extra")
	_, err := permutation("a", names, "b", others)
	refused(t, err, "only here: 29", "only there: extra")
}

type wordRow struct {
	Image hfImage `parquet:"image,optional"`
	Label *string `parquet:"label,optional,dict"`
}

func parquetOfWords(tb testing.TB, words ...string) []byte {
	tb.Helper()
	rows := make([]wordRow, len(words))
	for i, w := range words {
		rows[i] = wordRow{hfImage{pngOf(tb, picture(3, 3, i).RGBA()), "x"}, &words[i]}
		if w == "-" {
			rows[i].Label = nil
		}
	}
	return rowsOf(tb, rows)
}

func rowsOf[T any](tb testing.TB, rows []T, options ...parquet.WriterOption) []byte {
	tb.Helper()
	var b strings.Builder
	w := parquet.NewGenericWriter[T](&b, options...)
	if _, err := w.Write(rows); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return []byte(b.String())
}

func TestParquetLabelsOfWords(t *testing.T) {
	dir := t.TempDir()
	write(t, parquetOfWords(t, "dog", "cat"), dir, "train-0.parquet")
	write(t, parquetOfWords(t, "eel", "dog"), dir, "train-1.parquet")
	write(t, parquetOfWords(t, "eel", "-", "ape"), dir, "test-0.parquet")
	cfg := dataConfig("parquet", dir)
	ds := open(t, cfg, Train)
	if got := classesOf(ds); !slices.Equal(got, []string{"dog", "cat", "eel", "dog"}) ||
		!slices.Equal(ds.Classes(), []string{"cat", "dog", "eel"}) {
		t.Error(got, ds.Classes())
	}
	cfg.LabelKey = "label"
	open(t, cfg, Train)
	_, err := Open(cfg, Test)
	refused(t, err, "1 row", "no label", "test-0.parquet[1]")
	cfg.OnBad = "skip"
	test := open(t, cfg, Test)
	if got := classesOf(test); !slices.Equal(got, []string{"eel", "ape"}) ||
		!slices.Equal(test.Classes(), []string{"cat", "dog", "eel", "ape"}) {
		t.Error(got, test.Classes())
	}
	if im, err := test.Image(1); err != nil ||
		string(im.Pix) != string(picture(3, 3, 2).Pix) { // the row after the one left out
		t.Error(err)
	}
	cfg.LabelKey = "lable"
	_, err = Open(cfg, Train)
	refused(t, err, `"lable"`)
	if u, _ := uierr.As(err); !strings.Contains(u.Hint, "columns: label") || strings.Contains(u.Hint, "image.") {
		t.Errorf("hint %q", u.Hint)
	}
}

func TestParquetOfPaths(t *testing.T) {
	one := int64(1)
	type pathRow struct {
		Image struct {
			Bytes *[]byte `parquet:"bytes,optional"`
			Path  string  `parquet:"path,optional"`
		} `parquet:"image,optional"`
		Label *int64 `parquet:"label,optional"`
	}
	rows := make([]pathRow, 3)
	for i := range rows {
		rows[i].Image.Path, rows[i].Label = "img/0.png", &one
	}
	dir := t.TempDir()
	write(t, rowsOf(t, rows), dir, "train.parquet")
	_, err := Open(dataConfig("parquet", dir), Train)
	refused(t, err, "train.parquet", "paths of pictures")
	r, err := inspectPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, r.Err(), "1 of 1 splits", "paths of pictures")

	whole := pngOf(t, picture(3, 3, 1).RGBA()) // where one row has a picture, the others are bad images
	rows[2].Image.Bytes = &whole
	write(t, rowsOf(t, rows), dir, "train.parquet")
	cfg := dataConfig("parquet", dir)
	cfg.OnBad = "skip"
	if ds := open(t, cfg, Train); ds.Len() != 1 || len(Skipped(ds)) != 2 ||
		!strings.Contains(Skipped(ds)[0].Reason, "path") {
		t.Error(ds.Len(), Skipped(ds))
	}
}

func TestParquetCodecsThatAreNotRead(t *testing.T) {
	for name, codec := range map[string]parquet.WriterOption{"LZ4": parquet.Compression(&parquet.Lz4Raw),
		"BROTLI": parquet.Compression(&parquet.Brotli)} {
		dir := t.TempDir()
		write(t, parquetOf(t, 3, 3, codec), dir, "train.parquet")
		_, err := Open(dataConfig("parquet", dir), Train)
		refused(t, err, name, "snappy, gzip, zstd")
		if u, _ := uierr.As(err); strings.Contains(u.Hint, "damaged") || !strings.Contains(u.Hint, "zstd") {
			t.Errorf("hint %q", u.Hint)
		}
	}
}

func TestParquetUnlabelledSplit(t *testing.T) {
	dir := t.TempDir()
	write(t, parquetOf(t, 4, 4, namesOf("cat", "dog", "eel")), dir, "train.parquet")
	none := int64(-1)
	rows := []hfRow{{hfImage{pngOf(t, picture(3, 3, 1).RGBA()), ""}, &none},
		{hfImage{pngOf(t, picture(3, 3, 1).RGBA()), ""}, &none}}
	write(t, rowsOf(t, rows, namesOf("cat", "dog", "eel")), dir, "test.parquet")
	cfg := dataConfig("parquet", dir)
	_, err := Open(cfg, Test)
	refused(t, err, "2 rows", "no label", "test.parquet[0]")
	r, err := inspectPath(dir)
	if err != nil || len(r.Splits) != 2 || r.Splits[1].LeftOut[0].Count != 2 || r.Splits[1].Error == "" {
		t.Fatalf("%+v %v", r, err)
	}
	refused(t, r.Err(), "1 of 2 splits cannot be used: test", "no label")
}

func TestSplitsAreNamed(t *testing.T) {
	pq := parquetOf(t, 3, 3, namesOf("cat", "dog", "eel"))
	dir := t.TempDir()
	write(t, pq, dir, "data", "train-00000-of-00002-0123456789abcdef.parquet")
	write(t, pq, dir, "data", "train-00001-of-00002-0123456789abcdef.parquet")
	write(t, pq, dir, "data", "validation-00000-of-00001.parquet")
	write(t, pq, dir, "data", "test_v2-00000-of-00001.parquet")
	cfg := dataConfig("parquet", dir)
	if got := Splits(cfg); !slices.Equal(got, []string{"train", "validation", "test"}) { // test_v2 begins with data.test
		t.Error(got)
	}
	write(t, pq, dir, "data", "test-00000-of-00001.parquet")
	if got := Splits(cfg); !slices.Equal(got, []string{"train", "validation", "test", "test_v2"}) {
		t.Error(got)
	}
	if n := open(t, cfg, Test).Len(); n != 3 {
		t.Errorf("%d rows: another split was joined", n)
	}
	cfg.Test = "dev"
	_, err := Open(cfg, Test)
	refused(t, err, "no split dev; there are train, validation, test, test_v2")
	write(t, pq, dir, "other", "train-00000-of-00001.parquet")
	_, err = Open(cfg, Train)
	refused(t, err, "split train", "2 folders: data, other")

	folder := makeFolder(t, 2, "a", "b")
	if err := os.Rename(filepath.Join(folder.Path, "test"), filepath.Join(folder.Path, "val")); err != nil {
		t.Fatal(err)
	}
	_, err = Open(folder, Test)
	refused(t, err, "no split test; there are train, val")
	if u, _ := uierr.As(err); !strings.Contains(u.Hint, "data.validation_split: val") {
		t.Errorf("hint %q", u.Hint)
	}
	r, err := inspectPath(folder.Path)
	if err != nil || r.Err() != nil || len(r.Splits) != 2 || r.Splits[1].Name != "val" || r.Splits[1].Images != 4 {
		t.Errorf("%+v %v", r, err)
	}

	vehicles := t.TempDir() // a class may be called train
	for _, c := range []string{"car", "train"} {
		write(t, pngOf(t, picture(3, 3, 1).RGBA()), vehicles, c, "x.png")
	}
	if got := Splits(dataConfig("folder", vehicles)); len(got) > 0 {
		t.Error(got)
	}
	custom := t.TempDir()
	for _, f := range []string{"fold1", "fold2"} {
		write(t, pngOf(t, picture(3, 3, 1).RGBA()), custom, f, "car", "x.png")
	}
	if got := Splits(dataConfig("folder", custom)); !slices.Equal(got, []string{"fold1", "fold2"}) {
		t.Error(got)
	}
}

func TestInspectNamesBrokenSplits(t *testing.T) {
	cfg := makeFolder(t, 2, "a", "b")
	write(t, []byte("x"), cfg.Path, "train", "__MACOSX", "._aa.png")
	r, err := inspectPath(cfg.Path)
	if err != nil || len(r.Splits) != 2 || r.Splits[0].Name != "train" ||
		!strings.Contains(r.Splits[0].Error, "__MACOSX") || r.Splits[1].Error != "" {
		t.Fatalf("%+v %v", r, err)
	}
	refused(t, r.Err(), "1 of 2 splits cannot be used: train", "__MACOSX")
	for _, name := range []string{"aa.png", "ba.png"} {
		for _, class := range []string{"a", "b"} {
			write(t, []byte("x"), cfg.Path, "test", class, name)
		}
	}
	r, _ = inspectPath(cfg.Path)
	refused(t, r.Err(), "2 of 2 splits cannot be used: train, test")
}

func TestFolderLeavesOutWhatIsNoPicture(t *testing.T) {
	cfg := makeFolder(t, 2, "a", "b")
	for _, name := range []string{"Thumbs.db", "labels.csv", "more.csv", "desktop.ini", ".DS_Store", "README"} {
		write(t, []byte("no picture"), cfg.Path, "train", "a", name)
	}
	write(t, pngOf(t, picture(8, 8, 1).RGBA()), cfg.Path, "train", "a", "LOUD.PNG")
	write(t, pngOf(t, picture(8, 8, 1).RGBA()), cfg.Path, "train", "a", "nameless")
	write(t, nil, cfg.Path, "train", "notes.txt")
	ds := open(t, cfg, Train)
	if !slices.Equal(Counts(ds), []int{4, 2}) {
		t.Error(Counts(ds))
	}
	n := 0
	for _, l := range LeftOut(ds) {
		if n += l.Count; l.Lost {
			t.Error(l)
		}
	}
	if n != 7 {
		t.Errorf("%d left out: %v", n, LeftOut(ds))
	}
	write(t, []byte("P6 1 1 255 abc"), cfg.Path, "train", "b", "x.ppm")
	_, err := Open(cfg, Train)
	refused(t, err, "1 picture", "not read (.ppm)", "x.ppm")
}

func TestFolderNamesInTwoCompositions(t *testing.T) {
	cfg := makeFolder(t, 2, "a", composed)
	if err := os.Rename(filepath.Join(cfg.Path, "test", composed),
		filepath.Join(cfg.Path, "test", decomposed)); err != nil {
		t.Skip(err)
	}
	ds := open(t, cfg, Test)
	if !slices.Equal(ds.Classes(), open(t, cfg, Train).Classes()) || !slices.Equal(Counts(ds), []int{2, 2}) {
		t.Errorf("%+q %v", ds.Classes(), Counts(ds))
	}
}

func TestForeignLayoutsAreNamed(t *testing.T) {
	dir := t.TempDir()
	write(t, []byte("{}"), dir, "dataset_dict.json")
	write(t, []byte("ARROW1"), dir, "train", "data-00000-of-00001.arrow")
	_, err := Guess(dir)
	refused(t, err, "save_to_disk")
	_, err = Open(dataConfig("folder", dir), Train)
	refused(t, err, "save_to_disk")
	dir = t.TempDir()
	write(t, parquetOf(t, 1, 1), dir, "train-0.parquet")
	_, err = Open(dataConfig("folder", dir), Train)
	refused(t, err, "no such folder")
	if u, _ := uierr.As(err); !strings.Contains(u.Hint, "data.kind: parquet") {
		t.Errorf("hint %q", u.Hint)
	}
}

// A disk that does not answer is no fault of the file.
func TestFailuresAreNoMistakes(t *testing.T) {
	for err, mistake := range map[error]bool{syscall.EIO: false, syscall.EMFILE: false, os.ErrPermission: true,
		syscall.EACCES: true, syscall.ENOENT: true} {
		for _, got := range []error{unreadable("x.png", &os.PathError{Op: "read", Path: "x.png", Err: err}),
			unopened("x", &os.PathError{Op: "open", Path: "x", Err: err})} {
			if _, ok := uierr.As(got); ok != mistake || !strings.Contains(got.Error(), "x") {
				t.Errorf("%v: a mistake %v", got, ok)
			}
		}
	}
}

func TestFoldersThatMayNotBeRead(t *testing.T) {
	if os.Geteuid() <= 0 {
		t.Skip("this user may read everything")
	}
	cfg := makeFolder(t, 2, "a", "b")
	class := filepath.Join(cfg.Path, "train", "a")
	shut := func(path string) {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, 0o777) })
	}
	shut(class)
	_, err := Open(cfg, Train)
	refused(t, err, class, "permission denied")
	r, err := inspectPath(cfg.Path)
	if err != nil || len(r.Splits) != 2 {
		t.Fatalf("%+v %v", r, err)
	}
	refused(t, r.Err(), "cannot be used: train", "permission denied")
	shut(cfg.Path)
	_, err = Open(cfg, Train)
	refused(t, err, "permission denied")
	_, err = inspectPath(cfg.Path)
	refused(t, err, "permission denied")
}
