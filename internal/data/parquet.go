package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/imagefile"
	"github.com/flops-vit/flops/internal/uierr"
)

func init() {
	register(kind{"parquet", openParquet, func(path string) bool { return sniffShards(path, ".parquet") }})
}

// parquetFiles is the layout of Hugging Face's datasets: files PART-*.parquet,
// at PATH or one folder below, with a column of encoded images (struct{bytes,
// path}, or binary) and one of integer labels. The class names come from the
// "huggingface" metadata, else they are numbers. Labels are read at the start;
// images by row group, of which the last used are kept (groupCache).
type parquetFiles struct {
	table
	shards []*shard
	first  []int // number of the first image of each group
	groups []group
	cache  groupCache
}

// shard is one open file.
type shard struct {
	path string
	f    *os.File
	pq   *parquet.File
	img  leaf
	lab  leaf
}

// group is a row group.
type group struct {
	shard *shard
	n     int // of the shard
	rows  int
}

// leaf is a column that holds values.
type leaf struct {
	path     string // "image.bytes"
	kind     parquet.Kind
	index    int
	repeated bool
}

func openParquet(cfg config.Data, part string) (source, error) {
	paths, err := shardFiles(cfg, part, ".parquet")
	if err != nil {
		return nil, err
	}
	p := &parquetFiles{}
	for _, path := range paths {
		if err := p.add(path, part, cfg); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// add opens a file, reads its labels and appends its images.
func (p *parquetFiles) add(path, part string, cfg config.Data) error {
	s, err := openShard(path)
	if err != nil {
		return err
	}
	p.shards = append(p.shards, s)
	leaves := s.leaves()
	if s.img, err = imageColumn(leaves, cfg.ImageKey); err != nil {
		return columnError(path, "image_key", err, leaves)
	}
	if s.lab, err = labelColumn(leaves, cfg.LabelKey); err != nil {
		return columnError(path, "label_key", err, leaves)
	}
	row := 0
	for n := range s.pq.RowGroups() {
		var labels []int
		err := s.values(n, s.lab, maxGroupBytes, func(v parquet.Value) error {
			l := int64(-1)
			switch {
			case v.IsNull():
			case v.Kind() == parquet.Int32:
				l = int64(v.Int32())
			default:
				l = v.Int64()
			}
			if l < 0 || l >= maxLabel {
				return fmt.Errorf("row %d: label %v, not one of 0 to %d", row+len(labels), v, maxLabel-1)
			}
			labels = append(labels, int(l))
			return nil
		})
		if err != nil {
			return damagedParquet(path, err)
		}
		p.first = append(p.first, len(p.items))
		p.groups = append(p.groups, group{s, n, len(labels)})
		for _, l := range labels {
			p.items = append(p.items, Info{Path: fmt.Sprintf("%s[%d]", path, row), Label: l,
				ID: fmt.Sprintf("%s/%s/%06d", part, filepath.Base(path), row)})
			row++
		}
	}
	return p.name(s)
}

// name takes the class names from a file, or makes more numbers.
func (p *parquetFiles) name(s *shard) error {
	key, _, _ := strings.Cut(s.lab.path, ".")
	if names := featureNames(s.pq, key); len(names) > 0 && len(p.classes) == 0 {
		p.classes = names
	}
	most := -1
	for _, in := range p.items {
		most = max(most, in.Label)
	}
	if most < len(p.classes) {
		return nil
	}
	if len(featureNames(p.shards[0].pq, key)) > 0 {
		return damagedParquet(s.path, fmt.Errorf("label %d, and the metadata names %d classes", most, len(p.classes)))
	}
	p.classes = numbers(most + 1)
	return nil
}

// featureNames reads the ClassLabel names of a column from the metadata that
// Hugging Face's datasets writes.
func featureNames(f *parquet.File, column string) []string {
	raw, ok := f.Lookup("huggingface")
	if !ok {
		return nil
	}
	var doc struct {
		Info struct {
			Features map[string]json.RawMessage
		}
	}
	var feature struct{ Names []string }
	if json.Unmarshal([]byte(raw), &doc) != nil || json.Unmarshal(doc.Info.Features[column], &feature) != nil {
		return nil
	}
	return feature.Names
}

func damagedParquet(path string, err error) error {
	if u, ok := uierr.As(err); ok && u.Hint != "" {
		return uierr.Wrap(err, fmt.Sprintf("%s: %s", path, reason(err)), u.Hint)
	}
	return uierr.Wrap(err, fmt.Sprintf("%s: %s", path, reason(err)), "the file is truncated, damaged or hostile; fetch it again")
}

func columnError(path, key string, err error, leaves []leaf) error {
	names := make([]string, len(leaves))
	for i, l := range leaves {
		names[i] = l.path
	}
	return uierr.New(fmt.Sprintf("%s: %v", path, err), fmt.Sprintf("set data.%s to one of its columns: %s", key, list(names)))
}

// leaves lists the columns that hold values, in the order of the file.
func (s *shard) leaves() []leaf {
	var out []leaf
	var walk func(c *parquet.Column)
	walk = func(c *parquet.Column) {
		if c.Leaf() {
			out = append(out, leaf{strings.Join(c.Path(), "."), c.Type().Kind(), c.Index(), c.MaxRepetitionLevel() > 0})
		}
		for _, child := range c.Columns() {
			walk(child)
		}
	}
	walk(s.pq.Root())
	return out
}

// imageColumn finds the bytes of the images: those of the named column, else
// of image or img, else the first column that has a field bytes.
func imageColumn(leaves []leaf, key string) (leaf, error) {
	fits := func(l leaf) bool { return l.kind == parquet.ByteArray && !l.repeated }
	if key != "" {
		for _, l := range leaves {
			if (l.path == key || l.path == key+".bytes") && fits(l) {
				return l, nil
			}
		}
		return leaf{}, fmt.Errorf("no column %q of encoded images", key)
	}
	for _, want := range []string{"image.bytes", "img.bytes", "image", "img"} {
		for _, l := range leaves {
			if l.path == want && fits(l) {
				return l, nil
			}
		}
	}
	for _, l := range leaves {
		if strings.HasSuffix(l.path, ".bytes") && fits(l) {
			return l, nil
		}
	}
	return leaf{}, errors.New("no column of encoded images")
}

// labelColumn finds the labels: the named column, else label, labels,
// fine_label or cls.
func labelColumn(leaves []leaf, key string) (leaf, error) {
	want := []string{"label", "labels", "fine_label", "cls"}
	if key != "" {
		want = []string{key}
	}
	for _, w := range want {
		for _, l := range leaves {
			if l.path == w && (l.kind == parquet.Int64 || l.kind == parquet.Int32) && !l.repeated {
				return l, nil
			}
		}
	}
	if key != "" {
		return leaf{}, fmt.Errorf("no column %q of integers", key)
	}
	return leaf{}, errors.New("no column of integer labels")
}

// values calls f for the values of a column in a row group, one a row. The
// value's bytes are only lent. limit bounds the bytes of all values.
func (s *shard) values(group int, l leaf, limit int64, f func(parquet.Value) error) error {
	return guard(func() error {
		rg := s.pq.RowGroups()[group]
		if err := s.checkChunk(group, l.index); err != nil {
			return err
		}
		pages := rg.ColumnChunks()[l.index].Pages()
		defer pages.Close()
		left, rows := limit, rg.NumRows()
		buf := make([]parquet.Value, 256)
		for rows > 0 {
			page, err := pages.ReadPage()
			if err == io.EOF {
				return fmt.Errorf("row group %d: column %s ends %d rows early", group, l.path, rows)
			}
			if err != nil {
				return err
			}
			n, used, err := eachValue(page.Values(), buf, min(rows, page.NumValues()), left, f)
			parquet.Release(page)
			if err != nil {
				return err
			}
			rows, left = rows-n, left-used
		}
		return nil
	})
}

// eachValue reads at most rows values of a page.
func eachValue(r parquet.ValueReader, buf []parquet.Value, rows, limit int64, f func(parquet.Value) error) (seen, used int64, err error) {
	for seen < rows {
		n, err := r.ReadValues(buf[:min(int64(len(buf)), rows-seen)])
		for _, v := range buf[:n] {
			if v.Kind() == parquet.ByteArray {
				used += int64(len(v.ByteArray()))
			}
			if used > limit {
				return seen, used, fmt.Errorf("a row group of more than %d bytes", int64(maxGroupBytes))
			}
			if err := f(v); err != nil {
				return seen, used, err
			}
			seen++
		}
		if err != nil && err != io.EOF {
			return seen, used, err
		}
		if n == 0 {
			break
		}
	}
	return seen, used, nil
}

// guard turns a panic of the parquet library on damaged data into an error.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged data (%v)", r)
		}
	}()
	return f()
}

func (p *parquetFiles) encoded(i int) (string, []byte, error) {
	g := sort.Search(len(p.first), func(k int) bool { return p.first[k] > i }) - 1
	rows, err := p.cache.get(g, func() ([][]byte, int64, error) { return p.groups[g].images() })
	if err != nil {
		return "", nil, damagedParquet(p.groups[g].shard.path, err)
	}
	data := rows[i-p.first[g]]
	return imagefile.Ext(data), data, nil
}

// images reads the encoded images of a group.
func (g group) images() (rows [][]byte, size int64, err error) {
	rows = make([][]byte, 0, g.rows)
	err = g.shard.values(g.n, g.shard.img, maxGroupBytes, func(v parquet.Value) error {
		var data []byte
		if !v.IsNull() {
			data = append(data, v.ByteArray()...)
		}
		rows = append(rows, data)
		size += int64(len(data))
		return nil
	})
	if err == nil && len(rows) < g.rows {
		err = fmt.Errorf("row group %d: %d images for %d labels", g.n, len(rows), g.rows)
	}
	return rows, size, err
}

// Image decodes image i.
func (p *parquetFiles) Image(i int) (*Image, error) {
	_, data, err := p.encoded(i)
	return p.decode(i, data, err)
}

// check does nothing: to look at one image is to unpack its row group, which
// on_bad: skip does and a quick check should not.
func (p *parquetFiles) check(int) error { return nil }

// Close closes the files.
func (p *parquetFiles) namesSplits() {}

func (p *parquetFiles) Close() error {
	var all error
	for _, s := range p.shards {
		all = errors.Join(all, s.f.Close())
	}
	return all
}
