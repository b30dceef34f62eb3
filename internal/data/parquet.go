package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/parquet-go/parquet-go"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/imagefile"
	"github.com/flops-vit/flops/internal/uierr"
)

func init() {
	register(kind{name: "parquet", open: openParquet, classes: parquetClasses, splits: shardSplits(".parquet"),
		sniff: func(path string) bool { return sniffShards(path, ".parquet") }})
}

// parquetFiles is the layout of Hugging Face's datasets: files PART-*.parquet,
// at PATH or one folder below, with a column of encoded images (struct{bytes,
// path}, or binary) and one of labels: integers, which the "huggingface" metadata
// names or else are the names, or texts. Rows labelled -1 or null are left out.
// Labels are read at the start; images by row group, of which the last used are
// kept (groupCache).
type parquetFiles struct {
	table
	shards []*shard
	first  []int   // number of the first image of each group
	row    []int32 // of each image, in its group
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
	text     bool // declared to be UTF-8
}

func openParquet(cfg config.Data, part string) (source, error) {
	paths, err := shardFiles(cfg, part, ".parquet")
	if err != nil {
		return nil, err
	}
	p := &parquetFiles{}
	p.leaveMissing(paths, cfg.Path)
	var files []labelled
	for _, path := range paths {
		labels, err := p.add(path, part, cfg)
		if err != nil {
			p.Close()
			return nil, err
		}
		files = append(files, labels)
	}
	if err := p.settle(files); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// parquetClasses are the classes of the training split: the names in its first
// file, and where it has none those of all labels.
func parquetClasses(cfg config.Data) ([]string, error) {
	paths, err := shardFiles(cfg, Train, ".parquet")
	if err != nil {
		return nil, err
	}
	s, err := openShard(paths[0])
	if err != nil {
		return nil, err
	}
	defer s.f.Close()
	leaves, err := s.leaves()
	if err != nil {
		return nil, err
	}
	if s.lab, err = labelColumn(leaves, cfg.LabelKey); err != nil {
		return nil, err
	}
	if labels, err := newFileLabels(s); err != nil || labels.kind == numbered {
		return labels.names, err
	}
	p, err := openParquet(cfg, Train)
	if err != nil {
		return nil, err
	}
	return p.Classes(), p.Close()
}

// add opens a file, reads its labels and appends its images.
func (p *parquetFiles) add(path, part string, cfg config.Data) (labelled, error) {
	s, err := openShard(path)
	if err != nil {
		return labelled{}, err
	}
	p.shards = append(p.shards, s)
	leaves, err := s.leaves()
	if err != nil {
		return labelled{}, err
	}
	if s.img, err = imageColumn(leaves, cfg.ImageKey); err != nil {
		return labelled{}, columnError(path, "image_key", err, leaves, holdsImages)
	}
	if s.lab, err = labelColumn(leaves, cfg.LabelKey); err != nil {
		return labelled{}, columnError(path, "label_key", err, leaves,
			func(l leaf) bool { return holdsLabels(l) && l != s.img && !besideImage(l, s.img) })
	}
	if s.img.text {
		return labelled{}, uierr.New(
			fmt.Sprintf("%s: column %s is of texts: the file holds paths or addresses of pictures, not the pictures",
				path, s.img.path),
			"embed them before writing it: Dataset.cast_column(NAME, datasets.Image()).push_to_hub does")
	}
	if s.onlyPaths() {
		return labelled{}, uierr.New(
			fmt.Sprintf("%s: column %s is empty in every row: the file holds paths of pictures, not the pictures", path,
				s.img.path),
			"embed them before writing it: Dataset.push_to_hub does, and datasets.table.embed_table_storage")
	}
	labels, err := newFileLabels(s)
	if err != nil {
		return labelled{}, err
	}
	row, before := 0, len(p.items)
	for n := range s.pq.RowGroups() {
		first, start := row, len(p.items)
		err := s.values(n, s.lab, maxGroupBytes, func(v parquet.Value) error {
			l, err := labels.label(v)
			if err != nil {
				return fmt.Errorf("row %d: %w", row, err)
			}
			where := fmt.Sprintf("%s[%d]", path, row)
			if l < 0 {
				p.leave(1, "rows", "no label (-1 or null)", where, "name a split with labels; those of some test splits are secret")
			} else {
				p.items = append(p.items, Info{Path: where, Label: l,
					ID: fmt.Sprintf("%s/%s/%06d", part, filepath.Base(path), row)})
				p.row = append(p.row, int32(row-first))
			}
			row++
			return nil
		})
		if err != nil {
			return labelled{}, damagedParquet(path, err)
		}
		p.first = append(p.first, start)
		p.groups = append(p.groups, group{s, n, row - first})
	}
	labels.items = len(p.items) - before
	return labels.labelled, nil
}

// damagedParquet is the error of a file that cannot be read.
func damagedParquet(path string, err error) error {
	if failed(err) {
		return fmt.Errorf("%s: %w", path, err)
	}
	if u, ok := uierr.As(err); ok && u.Hint != "" {
		return uierr.Wrap(err, fmt.Sprintf("%s: %s", path, reason(err)), u.Hint)
	}
	return uierr.Wrap(err, fmt.Sprintf("%s: %s", path, reason(err)),
		"the file is truncated, damaged or hostile; fetch it again")
}

func (p *parquetFiles) encoded(i int) (string, []byte, error) {
	g := sort.Search(len(p.first), func(k int) bool { return p.first[k] > i }) - 1
	rows, err := p.cache.get(g, func() ([][]byte, int64, error) { return p.groups[g].images() })
	if err != nil {
		return "", nil, damagedParquet(p.groups[g].shard.path, err)
	}
	data := rows[p.row[i]]
	if data == nil {
		return "", nil, unreadable(p.items[i].Path, errors.New("the row has a path of a picture at most, not the picture"))
	}
	return imagefile.Ext(data), data, nil
}

// images reads the encoded images of a group.
func (g group) images() (rows [][]byte, size int64, err error) {
	rows = make([][]byte, 0, g.rows)
	err = g.shard.values(g.n, g.shard.img, maxGroupBytes, func(v parquet.Value) error {
		var data []byte // nil: no picture
		if !v.IsNull() {
			data = append([]byte{}, v.ByteArray()...)
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
func (p *parquetFiles) Close() error {
	var all error
	for _, s := range p.shards {
		all = errors.Join(all, s.f.Close())
	}
	return all
}
