package data

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

// A shard that the names of the others tell of is missed, and not learnt without.
func TestMissingShards(t *testing.T) {
	pq := parquetOf(t, 3, 3, namesOf("cat", "dog", "eel"))
	for _, c := range []struct {
		files []string
		left  string // "" where all are there
	}{
		{[]string{"train-00000-of-00003.parquet", "train-00002-of-00003-0123abcd.parquet"}, "1 shard: not there"},
		{[]string{"train-00003-of-00005.parquet"}, "4 shards: not there"},
		{[]string{"data/train-2-of-3.parquet", "data/train-3-of-3.parquet"}, "1 shard: not there"},
		{[]string{"train-00001-of-00002.parquet", "train-00002-of-00002.parquet"}, ""},
		{[]string{"train-00000-of-00001.parquet"}, ""},
		{[]string{"train-1.parquet", "train-3.parquet"}, ""},
		{[]string{"train-00000-of-999999999.parquet"}, "999999998 shards: not there"},
	} {
		dir := t.TempDir()
		for _, f := range c.files {
			write(t, pq, dir, f)
		}
		cfg := dataConfig("parquet", dir)
		if c.left == "" {
			if n := open(t, cfg, Train).Len(); n != 3*len(c.files) {
				t.Errorf("%v: %d images", c.files, n)
			}
			continue
		}
		_, err := Open(cfg, Train)
		refused(t, err, "the train split leaves out "+c.left)
		cfg.OnBad = "skip"
		if n := open(t, cfg, Train).Len(); n != 3*len(c.files) {
			t.Errorf("%v: %d images with on_bad skip", c.files, n)
		}
	}
	dir := t.TempDir() // one file that is named is meant alone
	cfg := dataConfig("parquet", write(t, pq, dir, "train-00001-of-00003.parquet"))
	cfg.Train = "."
	open(t, cfg, Train)

	tars := t.TempDir()
	sample := tarOf(t, tarMember{name: "a.png", data: pngOf(t, picture(3, 3, 1).RGBA())},
		tarMember{name: "a.cls", data: []byte("1")})
	write(t, sample, tars, "train", "x-000-of-002.tar")
	_, err := Open(dataConfig("tar", tars), Train)
	refused(t, err, "1 shard: not there", filepath.Join("train", "x-001-of-002"))
}

// Columns that cannot be meant are named with what they hold.
func TestParquetColumnsOfOtherKinds(t *testing.T) {
	type floatRow struct {
		Image hfImage `parquet:"image"`
		Label float64 `parquet:"label"`
	}
	type boolRow struct {
		Image hfImage `parquet:"image"`
		Label bool    `parquet:"label"`
		Breed string  `parquet:"breed"`
	}
	type addressRow struct {
		Image string `parquet:"image"`
		Label int64  `parquet:"label"`
	}
	image := hfImage{pngOf(t, picture(3, 3, 1).RGBA()), "a.png"}
	for _, c := range []struct {
		file       []byte
		what, hint string
	}{
		{rowsOf(t, []floatRow{{image, 1}}), `column "label" is of DOUBLE values`, "no column of the file can be meant"},
		{rowsOf(t, []boolRow{{image, true, "pug"}}), `column "label" is of BOOLEAN values`, "one of its columns: breed"},
		{rowsOf(t, []addressRow{{"a.png", 1}}), "column image is of texts", "embed them"},
	} {
		cfg := dataConfig("parquet", write(t, c.file, t.TempDir(), "a.parquet"))
		cfg.Train = "."
		_, err := Open(cfg, Train)
		refused(t, err, c.what)
		if u, _ := uierr.As(err); !strings.Contains(u.Hint, c.hint) {
			t.Errorf("hint %q, want %q", u.Hint, c.hint)
		}
	}
}
