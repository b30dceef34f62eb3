package data

import (
	"errors"
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/flops-vit/flops/internal/uierr"
)

// leaves lists the columns that hold values, in the order of the file.
func (s *shard) leaves() (out []leaf, err error) {
	var walk func(c *parquet.Column)
	walk = func(c *parquet.Column) {
		if c.Leaf() {
			text := false
			if l := c.Type().LogicalType(); l != nil {
				_, text = l.Value.(*format.StringType)
			}
			out = append(out, leaf{strings.Join(c.Path(), "."), c.Type().Kind(), c.Index(), c.MaxRepetitionLevel() > 0,
				text})
		}
		for _, child := range c.Columns() {
			walk(child)
		}
	}
	err = guard(func() error { // a schema may lie about what a column is
		walk(s.pq.Root())
		return nil
	})
	if err != nil {
		return nil, damagedParquet(s.path, err)
	}
	return out, nil
}

// columnError is the error of a column that is not found; fits says which of
// the others could be meant.
func columnError(path, key string, err error, leaves []leaf, fits func(leaf) bool) error {
	var could, all []string
	for _, l := range leaves {
		all = append(all, l.path)
		if fits(l) {
			could = append(could, l.path)
		}
	}
	hint := fmt.Sprintf("no column of the file can be meant; it has %s", list(all))
	if len(could) > 0 {
		hint = fmt.Sprintf("set data.%s to one of its columns: %s", key, list(could))
	}
	return uierr.New(fmt.Sprintf("%s: %v", path, err), hint)
}

func holdsImages(l leaf) bool { return l.kind == parquet.ByteArray && !l.repeated }

// besideImage says whether a column is part of the pictures' own: their paths
// are no labels.
func besideImage(l, img leaf) bool {
	at := strings.LastIndex(img.path, ".")
	return at >= 0 && strings.HasPrefix(l.path, img.path[:at+1])
}

func holdsLabels(l leaf) bool {
	return (l.kind == parquet.Int64 || l.kind == parquet.Int32 || l.kind == parquet.ByteArray) && !l.repeated
}

// imageColumn finds the bytes of the images: those of the named column, else
// of image or img, else the first column that has a field bytes.
func imageColumn(leaves []leaf, key string) (leaf, error) {
	want := []string{"image.bytes", "img.bytes", "image", "img"}
	if key != "" {
		want = []string{key + ".bytes", key}
	}
	for _, w := range want {
		for _, l := range leaves {
			if l.path == w && holdsImages(l) {
				return l, nil
			}
		}
	}
	if key != "" {
		return leaf{}, fmt.Errorf("no column %q of encoded images", key)
	}
	for _, l := range leaves {
		if strings.HasSuffix(l.path, ".bytes") && holdsImages(l) {
			return l, nil
		}
	}
	return leaf{}, errors.New("no column of encoded images")
}

// kindOf names what a column holds.
func kindOf(l leaf) string {
	if l.repeated {
		return "several"
	}
	return l.kind.String()
}

// labelColumn finds the labels: the named column, else label, labels,
// fine_label or cls, of integers or failing that of texts.
func labelColumn(leaves []leaf, key string) (leaf, error) {
	want := []string{"label", "labels", "fine_label", "cls"}
	if key != "" {
		want = []string{key}
	}
	for _, text := range []bool{false, true} {
		for _, w := range want {
			for _, l := range leaves {
				if l.path == w && holdsLabels(l) && (l.kind == parquet.ByteArray) == text {
					return l, nil
				}
			}
		}
	}
	for _, w := range want {
		for _, l := range leaves {
			if l.path == w {
				return leaf{}, fmt.Errorf("column %q is of %v values; labels are integers or texts", w, kindOf(l))
			}
		}
	}
	if key != "" {
		return leaf{}, fmt.Errorf("no column %q of integers or texts", key)
	}
	return leaf{}, errors.New("no column of labels (label, labels, fine_label or cls, of integers or texts)")
}

// onlyPaths says whether the statistics of a file tell that no row has a
// picture.
func (s *shard) onlyPaths() bool {
	rows, null := int64(0), int64(0)
	for _, g := range s.pq.Metadata().RowGroups {
		rows += g.NumRows
		if s.img.index < len(g.Columns) {
			null += g.Columns[s.img.index].MetaData.Statistics.NullCount
		}
	}
	return rows > 0 && null == rows
}
