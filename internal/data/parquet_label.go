package data

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/flops-vit/flops/internal/uierr"
)

// labelNames says what the labels of a file are.
type labelNames int

const (
	bareNumbers labelNames = iota // integers without names
	numbered                      // integers, named by the metadata (ClassLabel)
	words                         // texts
)

func (k labelNames) String() string {
	return [...]string{"numbers without names", "numbers with names", "texts"}[k]
}

// labelled is the labels of a file.
type labelled struct {
	kind  labelNames
	names []string // of the labels; bareNumbers: nil
	most  int      // the largest label
	items int      // of the dataset, the first is that of the file
}

// fileLabels reads the labels of one column value by value.
type fileLabels struct {
	labelled
	known map[string]int // words
}

func newFileLabels(s *shard) (*fileLabels, error) {
	f := &fileLabels{labelled: labelled{most: -1}, known: map[string]int{}}
	if s.lab.kind == parquet.ByteArray {
		f.kind = words
		return f, nil
	}
	key, _, _ := strings.Cut(s.lab.path, ".")
	if f.names = featureNames(s.pq, key); len(f.names) > 0 {
		f.kind = numbered
	}
	return f, distinct(s.path, f.names)
}

// label is the number of a value in its file, -1 where it stands for none.
func (f *fileLabels) label(v parquet.Value) (int, error) {
	l := int64(-1)
	switch {
	case v.IsNull():
	case f.kind == words:
		word := string(v.ByteArray())
		at, ok := f.known[word]
		switch {
		case word == "":
			return -1, nil
		case !ok && len(f.names) == maxLabel:
			return 0, fmt.Errorf("more than %d different labels", maxLabel)
		case !ok:
			at = len(f.names)
			f.known[word], f.names = at, append(f.names, word)
		}
		l = int64(at)
	case v.Kind() == parquet.Int32:
		l = int64(v.Int32())
	default:
		l = v.Int64()
	}
	if l < -1 || l >= maxLabel {
		return 0, fmt.Errorf("label %v, not one of 0 to %d", v, maxLabel-1)
	}
	if f.kind == numbered && int(l) >= len(f.names) {
		return 0, fmt.Errorf("label %d, and the metadata names %d classes", l, len(f.names))
	}
	f.most = max(f.most, int(l))
	return int(l), nil
}

// settle makes one list of classes of those of the files, and maps the labels
// of each file to it by name: the names of the first file, the sorted words of
// all, or numbers.
func (p *parquetFiles) settle(files []labelled) error {
	first := files[0]
	switch first.kind {
	case numbered:
		p.classes = first.names
	case words:
		all := map[string]bool{}
		for _, f := range files {
			for _, n := range f.names {
				all[n] = true
			}
		}
		p.classes = sortedKeys(all)
		if err := distinct(p.shards[0].path, p.classes); err != nil {
			return err
		}
	}
	at := 0
	for i, f := range files {
		if f.kind != first.kind {
			return uierr.New(fmt.Sprintf("%s: its labels are %v, and those of %s %v", p.shards[i].path, f.kind,
				p.shards[0].path, first.kind),
				"write all files of a split from one dataset")
		}
		if f.kind == bareNumbers {
			p.classes = numbers(max(f.most+1, len(p.classes)))
			at += f.items
			continue
		}
		to := Match(f.names, p.classes)
		if f.kind == numbered {
			var err error
			if to, err = permutation(p.shards[i].path, f.names, p.shards[0].path, p.classes); err != nil {
				return err
			}
		}
		for n := range p.items[at : at+f.items] {
			p.items[at+n].Label = to[p.items[at+n].Label]
		}
		at += f.items
	}
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
	return slices.Clip(feature.Names)
}
