package data

import (
	"archive/tar"
	"bytes"
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

type tarMember struct {
	name string
	data []byte
	kind byte
	link string
}

func tarOf(tb testing.TB, members ...tarMember) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		if m.kind == 0 {
			m.kind = tar.TypeReg
		}
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Linkname: m.link, Size: int64(len(m.data)), Mode: 0o644}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(m.data); err != nil {
			tb.Fatal(err)
		}
	}
	w.Close()
	return b.Bytes()
}

func TestTarShards(t *testing.T) {
	dir := t.TempDir()
	p := func(k int) []byte { return pngOf(t, picture(6, 5, k).RGBA()) }
	jpg := jpegOf(t, picture(16, 16, 1).RGBA())
	write(t, tarOf(t, tarMember{name: "a/", kind: tar.TypeDir},
		tarMember{name: "a/000.png", data: p(0)}, tarMember{name: "a/000.cls", data: []byte("2\n")},
		tarMember{name: "a/001.json", data: []byte(`{"label": 1, "caption": "x"}`)}, tarMember{name: "a/001.jpg", data: jpg},
		tarMember{name: "a/001.txt", data: []byte("caption")}), dir, "train-0000.tar")
	write(t, tarOf(t, tarMember{name: "000.png", data: p(2)}, tarMember{name: "000.cls", data: []byte("0")}), dir,
		"train-0001.tar")
	write(t, tarOf(t, tarMember{name: "000.png", data: p(3)}, tarMember{name: "000.cls", data: []byte("0")}), dir,
		"test-0000.tar")
	cfg := dataConfig("tar", dir)
	ds := open(t, cfg, Train)
	if ds.Len() != 3 || len(ds.Classes()) != 3 || ds.Info(0).Label != 2 || ds.Info(1).Label != 1 ||
		ds.Info(2).ID != "train/train-0001.tar/000.png" {
		t.Fatalf("%d images of %v: %+v", ds.Len(), ds.Classes(), ds.Info(2))
	}
	for i, want := range map[int]*Image{0: picture(6, 5, 0), 2: picture(6, 5, 2)} {
		if im, err := ds.Image(i); err != nil || !bytes.Equal(im.Pix, want.Pix) {
			t.Errorf("image %d: %v", i, err)
		}
	}
	if ext, data, err := ds.(source).encoded(1); err != nil || ext != "jpg" || !bytes.Equal(data, jpg) {
		t.Errorf("%s %v", ext, err)
	}
	write(t, []byte("zero\none\ntwo\nthree\n"), dir, "classes.txt")
	if got := open(t, cfg, Test).Classes(); !slices.Equal(got, []string{"zero", "one", "two", "three"}) {
		t.Error(got)
	}
}

func TestTarLabelsOfWords(t *testing.T) {
	dir := t.TempDir()
	img := pngOf(t, picture(4, 4, 0).RGBA())
	write(t, tarOf(t, tarMember{name: "0.png", data: img}, tarMember{name: "0.cls", data: []byte("dog")},
		tarMember{name: "1.png", data: img}, tarMember{name: "1.json", data: []byte(`{"label":"cat"}`)}), dir, "train.tar")
	write(t, tarOf(t, tarMember{name: "0.png", data: img}, tarMember{name: "0.cls", data: []byte("dog")}), dir, "test.tar")
	ds := open(t, dataConfig("tar", dir), Test)
	if !slices.Equal(ds.Classes(), []string{"cat", "dog"}) || ds.Info(0).Label != 1 {
		t.Errorf("%v %+v", ds.Classes(), ds.Info(0))
	}
}

func TestTarRefusals(t *testing.T) {
	img := pngOf(t, picture(4, 4, 0).RGBA())
	cls := tarMember{name: "0.cls", data: []byte("0")}
	whole := tarOf(t, tarMember{name: "0.png", data: img}, cls)
	lying := bytes.Clone(whole)
	copy(lying[124:], "77777777777\x00") // the size of the first member, 8 GiB
	sum := 0
	copy(lying[148:156], "        ")
	for _, b := range lying[:512] {
		sum += int(b)
	}
	copy(lying[148:], []byte{'0' + byte(sum>>15&7), '0' + byte(sum>>12&7), '0' + byte(sum>>9&7), '0' + byte(sum>>6&7),
		'0' + byte(sum>>3&7), '0' + byte(sum&7), 0, ' '})
	for what, b := range map[string][]byte{
		"is a link":        tarOf(t, tarMember{name: "0.png", kind: tar.TypeSymlink, link: "/etc/passwd"}, cls),
		"a link to \"../":  tarOf(t, tarMember{name: "0.png", kind: tar.TypeLink, link: "../x.png"}, cls),
		"leads out":        tarOf(t, tarMember{name: "../0.png", data: img}, cls),
		"\"/0.png\" leads": tarOf(t, tarMember{name: "/0.png", data: img}, cls),
		"\"a/../0.png\"":   tarOf(t, tarMember{name: "a/../0.png", data: img}, cls),
		"of type":          tarOf(t, tarMember{name: "0.png", kind: tar.TypeFifo}, cls),
		"no label":         tarOf(t, tarMember{name: "0.png", data: img}),
		"two images":       tarOf(t, tarMember{name: "0.png", data: img}, tarMember{name: "0.jpg", data: img}, cls),
		"claims":           lying,
		"are left":         whole[:540],
		"label 99999999":   tarOf(t, tarMember{name: "0.png", data: img}, tarMember{name: "0.cls", data: []byte("99999999")}),
		"label \"-1\"":     tarOf(t, tarMember{name: "0.png", data: img}, tarMember{name: "0.cls", data: []byte("-1")}),
	} {
		path := write(t, b, t.TempDir(), "x.tar")
		n := testkit.Allocated(func() {
			_, err := Open(dataConfig("tar", path), Test)
			refused(t, err, "x.tar", what)
		})
		if n > 4<<20 {
			t.Errorf("%s: %d bytes were allocated", what, n)
		}
	}
	dir := t.TempDir()
	write(t, whole, dir, "shard.tar")
	_, err := Open(dataConfig("tar", dir), Train)
	refused(t, err, "no split train; there are shard")
	_, err = Open(dataConfig("tar", dir+"/shard.tar"), Train)
	refused(t, err, "without splits")
}

func FuzzTar(f *testing.F) {
	img := pngOf(f, picture(4, 4, 0).RGBA())
	f.Add(tarOf(f, tarMember{name: "0.png", data: img}, tarMember{name: "0.cls", data: []byte("1")}))
	f.Add(tarOf(f, tarMember{name: "0.png", kind: tar.TypeSymlink, link: "x"}))
	dotted := tarOf(f, tarMember{name: "0.image.png", data: img}, tarMember{name: "0.label.cls", data: []byte("a")})
	f.Add(packed(f, dotted, ".tar.gz"))
	f.Add(packed(f, dotted, ".tar.zst"))
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg := dataConfig("tar", write(t, b, t.TempDir(), "x.tar"))
		readAll(t, cfg)
	})
}
