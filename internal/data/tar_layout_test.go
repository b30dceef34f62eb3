package data

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/flops-vit/flops/internal/uierr"
)

func TestKeyOf(t *testing.T) { // as webdataset's base_plus_ext, in small letters
	for name, want := range map[string][2]string{
		"a/b.c/000.JPG": {"a/b.c/000", "jpg"}, "000000.image.png": {"000000",
			"image.png"}, "x/.hidden.png": {}, "README": {}, "./0.cls": {"./0", "cls"}, "x.": {},
	} {
		if key, ext := keyOf(name); [2]string{key, ext} != want {
			t.Errorf("%s: %q %q", name, key, ext)
		}
	}
}

func TestTarNamesOfMembers(t *testing.T) {
	p := func(k int) []byte { return pngOf(t, picture(6, 5, k).RGBA()) }
	text := func(name, s string) tarMember { return tarMember{name: name, data: []byte(s)} }
	dir := t.TempDir()
	write(t, tarOf(t,
		tarMember{name: "0.image.png", data: p(0)}, text("0.label.cls", "2"),
		tarMember{name: "1.JPG", data: p(1)}, text("1.CLS", "1"),
		tarMember{name: "2.seg.png", data: p(9)}, tarMember{name: "2.png", data: p(2)}, text("2.cls", "0"), text("2.txt",
			"7"),
		tarMember{name: "3.jpeg", data: p(3)}, text("3.txt", "1"),
		text("4.ppm", "P6"), text("4.cls", "1"), text("5.ppm", "P6"), text("5.cls", "1"),
		text("6.txt", "a caption"), text("README", "x"),
	), dir, "train-000.TAR")
	cfg := dataConfig("tar", dir)
	_, err := Open(cfg, Train)
	refused(t, err, "2 samples", "not read (.ppm)", "train-000.TAR[4.ppm]")
	cfg.OnBad = "skip"
	ds := open(t, cfg, Train)
	if got := classesOf(ds); !slices.Equal(got, []string{"2", "1", "0", "1"}) {
		t.Fatal(got)
	}
	for i := range 4 {
		if im, err := ds.Image(i); err != nil || !bytes.Equal(im.Pix, picture(6, 5, i).Pix) {
			t.Errorf("image %d: %v", i, err)
		}
	}
	if l := LeftOut(ds); len(l) != 3 || l[0].Count+l[1].Count+l[2].Count != 4 {
		t.Error(l)
	}
	for what, members := range map[string][]tarMember{
		`two images, "0.a.png" and "0.b.png"`: {{name: "0.a.png", data: p(0)}, {name: "0.b.png", data: p(0)},
			text("0.cls", "0")},
		`two labels, "1" and "2"`: {{name: "0.png", data: p(0)}, text("0.a.cls", "1"), text("0.b.cls", "2")},
		"no picture beside the label": {text("0.wav", "x"), text("0.cls", "2"), {name: "1.png", data: p(0)},
			text("1.cls", "0")},
	} {
		_, err := Open(dataConfig("tar", write(t, tarOf(t, members...), t.TempDir(), "x.tar")), Test)
		refused(t, err, what)
	}
	empty := t.TempDir()
	write(t, tarOf(t, text("0.wav", "x")), empty, "train.tar")
	_, err = Open(dataConfig("tar", empty), Train)
	refused(t, err, "no images", "neither a picture nor a label (.wav)")
	r, err := inspectPath(empty)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, r.Err(), "no images")
}

func packed(tb testing.TB, b []byte, ext string) []byte {
	tb.Helper()
	var out bytes.Buffer
	var err error
	if ext == ".tar.zst" {
		z, _ := zstd.NewWriter(&out)
		_, err = z.Write(b)
		z.Close()
	} else {
		z := gzip.NewWriter(&out)
		_, err = z.Write(b)
		z.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestPackedTar(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var members []tarMember
	for i := range 5 {
		key := string(rune('0' + i))
		members = append(members, tarMember{name: key + ".png", data: pngOf(t, picture(6, 5, i).RGBA())},
			tarMember{name: key + ".cls", data: []byte{byte('a' + i%2)}})
	}
	plain := tarOf(t, members...)
	for _, ext := range []string{".tar.gz", ".tgz", ".TAR.GZ", ".tar.zst", ".tar"} { // the last is named wrongly
		dir := t.TempDir()
		for _, split := range []string{"train-000", "test-000"} {
			write(t, packed(t, plain, ext), dir, split+ext)
		}
		if name, err := Guess(dir); name != "tar" || err != nil {
			t.Errorf("%s: %s %v", ext, name, err)
		}
		for _, split := range []string{Train, Test} {
			ds := open(t, dataConfig("tar", dir), split)
			if ds.Len() != 5 || !slices.Equal(ds.Classes(), []string{"a", "b"}) {
				t.Fatalf("%s: %d images of %v", ext, ds.Len(), ds.Classes())
			}
			for i := range 5 {
				if im, err := ds.Image(i); err != nil || !bytes.Equal(im.Pix, picture(6, 5, i).Pix) || ds.Info(i).Label != i%2 {
					t.Errorf("%s, image %d: %v", ext, i, err)
				}
			}
		}
		write(t, plain, dir, "train-000.tar") // beside its packed copy
		if n := open(t, dataConfig("tar", dir), Train).Len(); n != 5 {
			t.Errorf("%s: %d images: the packed copy counts again", ext, n)
		}
	}
	gz := packed(t, plain, ".gz")
	sum := bytes.Clone(gz)
	sum[len(sum)-6] ^= 1
	for what, b := range map[string][]byte{
		"ends before":  gz[:len(gz)/2],
		"checksum":     sum,
		"packed by xz": []byte("\xfd7zXZ\x00 and more"),
		"is not read":  []byte("\xfd7zXZ\x00 and more"),
		"unpack to more ": packed(t, tarOf(t, tarMember{name: "0.png", data: make([]byte, 64<<20)},
			tarMember{name: "0.cls", data: []byte("0")}), ".tar.zst"),
	} {
		_, err := Open(dataConfig("tar", write(t, b, t.TempDir(), "x.tar.gz")), Test)
		refused(t, err, "x.tar.gz", what)
	}
}

// Each split has its own list of classes, in its own order.
func TestTarClassesByName(t *testing.T) {
	dir := t.TempDir()
	shard := func(labels string) []byte {
		var m []tarMember
		for i, l := range labels {
			key := string(rune('a' + i))
			m = append(m, tarMember{name: key + ".png", data: pngOf(t, picture(3, 3, i).RGBA())},
				tarMember{name: key + ".cls", data: []byte(string(l))})
		}
		return tarOf(t, m...)
	}
	write(t, shard("012"), dir, "train", "0000.tar")
	write(t, []byte("cat\ndog\neel\n"), dir, "train", "classes.txt")
	write(t, shard("012"), dir, "test", "0000.tar")
	write(t, []byte("eel\ndog\ncat\n"), dir, "test", "classes.txt")
	cfg := dataConfig("tar", dir)
	train, test := open(t, cfg, Train), open(t, cfg, Test)
	if !slices.Equal(test.Classes(), train.Classes()) || !slices.Equal(classesOf(test), []string{"eel", "dog", "cat"}) {
		t.Error(test.Classes(), classesOf(test))
	}
	write(t, []byte("eel\ndog\neel\n"), dir, "test", "classes.txt")
	_, err := Open(cfg, Test)
	refused(t, err, "classes.txt", `"eel"`)
	write(t, []byte("eel\ndog\n"), dir, "test", "classes.txt")
	_, err = Open(cfg, Test)
	refused(t, err, `label "2" is none of the 2 classes`)

	other := t.TempDir() // one list for both
	write(t, shard("01"), other, "train", "0000.tar")
	write(t, shard("10"), other, "test", "0000.tar")
	write(t, []byte("cat\ndog\n"), other, "classes.txt")
	if got := classesOf(open(t, dataConfig("tar", other), Test)); !slices.Equal(got, []string{"dog", "cat"}) {
		t.Error(got)
	}
	write(t, shard("-"), other, "test", "0000.tar")
	if _, err = Open(dataConfig("tar", other), Test); err == nil || !strings.Contains(err.Error(), `"-"`) {
		t.Error(err)
	}
	if u, ok := uierr.As(err); !ok || u.Hint == "" {
		t.Error(err)
	}
}
