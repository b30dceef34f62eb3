package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/flops-vit/flops/internal/testkit"
)

type hfImage struct {
	Bytes []byte `parquet:"bytes,optional"`
	Path  string `parquet:"path,optional"`
}

type hfRow struct {
	Image hfImage `parquet:"image,optional"`
	Label *int64  `parquet:"label,optional"`
}

type plainRow struct {
	Label int32  `parquet:"fine_label"`
	Img   []byte `parquet:"img"`
}

// parquetOf writes n images in row groups of rows.
func parquetOf(tb testing.TB, n, rows int, options ...parquet.WriterOption) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[hfRow](&b, append(options, parquet.MaxRowsPerRowGroup(int64(rows)))...)
	for i := range n {
		label := int64(i % 3)
		if _,
			err := w.Write([]hfRow{{hfImage{pngOf(tb, picture(6, 4, i).RGBA()), fmt.Sprint(i, ".png")}, &label}}); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

const hfNames = `{"info":{"features":{"image":{"_type":"Image"},` +
	`"label":{"names":["cat","dog","eel"],"_type":"ClassLabel"}}}}`

func TestParquet(t *testing.T) {
	codecs := map[string]compress.Codec{"none": &parquet.Uncompressed, "snappy": &parquet.Snappy, "gzip": &parquet.Gzip,
		"zstd": &parquet.Zstd}
	for name, codec := range codecs {
		for _, version := range []int{1, 2} {
			dir := t.TempDir()
			write(t, parquetOf(t, 10, 4, parquet.Compression(codec), parquet.DataPageVersion(version),
				parquet.KeyValueMetadata("huggingface", hfNames)),
				dir, "data", "train-00000-of-00001.parquet")
			write(t, parquetOf(t, 2, 4, parquet.Compression(codec)), dir, "data", "test-00000-of-00001.parquet")
			ds := open(t, dataConfig("parquet", dir), Train)
			if ds.Len() != 10 || !slices.Equal(ds.Classes(), []string{"cat", "dog", "eel"}) || ds.Info(5).Label != 2 ||
				ds.Info(5).ID != "train/train-00000-of-00001.parquet/000005" {
				t.Fatalf("%s, version %d: %d images of %v, %+v", name, version, ds.Len(), ds.Classes(), ds.Info(5))
			}
			for _, i := range []int{9, 0, 5, 3, 4} {
				if im, err := ds.Image(i); err != nil || !bytes.Equal(im.Pix, picture(6, 4, i).Pix) {
					t.Errorf("%s, version %d: image %d: %v", name, version, i, err)
				}
			}
		}
	}
}

func TestParquetOfBareColumns(t *testing.T) {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[plainRow](&b)
	if _, err := w.Write([]plainRow{{7, pngOf(t, picture(3, 3, 1).RGBA())}, {1, []byte("broken")}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := dataConfig("parquet", write(t, b.Bytes(), t.TempDir(), "x.parquet"))
	ds := open(t, cfg, Test)
	if ds.Len() != 2 || len(ds.Classes()) != 8 || ds.Info(0).Label != 7 {
		t.Fatalf("%d %v", ds.Len(), ds.Classes())
	}
	_, err := ds.Image(1)
	refused(t, err, "x.parquet[1]", "neither JPEG nor PNG")
	cfg.OnBad = "skip"
	if ds := open(t, cfg, Test); ds.Len() != 1 || len(Skipped(ds)) != 1 {
		t.Error(ds.Len(), Skipped(ds))
	}
	cfg.LabelKey = "lable"
	_, err = Open(cfg, Test)
	refused(t, err, `"lable"`)
	cfg.LabelKey, cfg.ImageKey = "", "photo"
	_, err = Open(cfg, Test)
	refused(t, err, `"photo"`)
}

func TestParquetWithADictionary(t *testing.T) {
	type row struct {
		Image []byte `parquet:"image,dict"`
		Label int64  `parquet:"label,dict"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, parquet.Compression(&parquet.Snappy))
	for i := range 50 {
		if _, err := w.Write([]row{{pngOf(t, picture(3, 3, i%2).RGBA()), int64(i % 2)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ds := open(t, dataConfig("parquet", write(t, b.Bytes(), t.TempDir(), "x.parquet")), Test)
	if im, err := ds.Image(49); err != nil || !bytes.Equal(im.Pix, picture(3, 3, 1).Pix) || ds.Info(49).Label != 1 {
		t.Error(im, err)
	}
}

func TestParquetDamage(t *testing.T) {
	good := parquetOf(t, 10, 4, parquet.Compression(&parquet.Snappy))
	footer := bytes.Clone(good)
	binary.LittleEndian.PutUint32(footer[len(footer)-8:], 1<<31)
	for what, b := range map[string][]byte{
		"too few":                  []byte("PAR1"),
		"does not end":             good[:len(good)-3],
		"the footer claims":        footer,
		"does not end as a parque": bytes.Repeat([]byte("x"), 100),
	} {
		path := write(t, b, t.TempDir(), "x.parquet")
		_, err := Open(dataConfig("parquet", path), Test)
		refused(t, err, "x.parquet", what)
	}
	// Bytes of the whole file in turn: refused, or read, and never more memory
	// than a small multiple of the file.
	path := write(t, good, t.TempDir(), "x.parquet")
	cfg := dataConfig("parquet", path)
	step := 11
	if testing.Short() {
		step = 97
	}
	var worst uint64
	for at := 0; at < len(good); at += step {
		for _, v := range []byte{0xff, good[at] ^ 0x10} {
			bad := bytes.Clone(good)
			bad[at] = v
			if err := os.WriteFile(path, bad, 0o666); err != nil {
				t.Fatal(err)
			}
			worst = max(worst, testkit.Allocated(func() { readAll(t, cfg) }))
		}
	}
	if worst > 64<<20 {
		t.Errorf("a damaged file of %d bytes made the reader allocate %d", len(good), worst)
	}
}

func TestThriftWalk(t *testing.T) {
	for name, b := range map[string][]byte{
		"binary of 2^31":         {0x18, 0xff, 0xff, 0xff, 0xff, 0x07},
		"list of 2^31 structs":   {0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07},
		"no stop":                {0x15, 0x02},
		"nesting without end":    bytes.Repeat([]byte{0x1c}, 1000),
		"an unknown type":        {0x1f, 0},
		"a number without end":   bytes.Repeat([]byte{0x15, 0xff}, 20),
		"a map of 2^31 booleans": {0x1b, 0xff, 0xff, 0xff, 0xff, 0x07, 0x11},
	} {
		if _, err := thriftWalk(b); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if n, err := thriftWalk([]byte{0x15, 0x02, 0x11, 0x00, 0xaa}); err != nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestGroupCacheForgetsTheOldest(t *testing.T) {
	var c groupCache
	reads := 0
	get := func(g int) {
		if _, err := c.get(g, func() ([][]byte, int64, error) { reads++; return nil, keptGroupBytes / 2, nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range []int{0, 1, 0, 2, 0, 1} { // 2 drops 1, the last 1 drops 2
		get(g)
	}
	if reads != 4 {
		t.Errorf("%d reads", reads)
	}
}

func FuzzParquet(f *testing.F) {
	f.Add(parquetOf(f, 3, 2, parquet.Compression(&parquet.Snappy)))
	f.Add(parquetOf(f, 3, 2, parquet.Compression(&parquet.Zstd), parquet.DataPageVersion(2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		readAll(t, dataConfig("parquet", write(t, b, t.TempDir(), "x.parquet")))
	})
}
