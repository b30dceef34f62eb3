package embed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/flops-vit/flops/internal/filekind"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/uierr"
)

// Names by which columns are known, the first found first; a file with one
// column that fits may call it anything.
var (
	idNames     = []string{"id", "ids", "name", "class", "label", "image", "path"}
	vectorNames = []string{"embedding", "embeddings", "vector", "values"}
)

// rowsAtOnce bounds the rows held undecoded.
const rowsAtOnce = 64

func readParquet(path string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(err, path)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := filekind.MisplacedIn(f); err != nil {
		return nil, filekind.At(path, err)
	}
	s := &Set{Path: path}
	if err := guard(func() error { return s.fromParquet(f, st.Size()) }); err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err),
			"give a column of ids and one of equally long lists of numbers")
	}
	return s, nil
}

// guard turns a panic of the parquet library, which damaged files can cause,
// into an error.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("not a sound parquet file: %v", r)
		}
	}()
	return f()
}

func (s *Set) fromParquet(r io.ReaderAt, size int64) error {
	p, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("not a sound parquet file: %w", err)
	}
	var leaves []*parquet.Column
	var walk func(c *parquet.Column)
	walk = func(c *parquet.Column) {
		if c.Leaf() {
			leaves = append(leaves, c)
		}
		for _, child := range c.Columns() {
			walk(child)
		}
	}
	walk(p.Root())
	vectors, err := pick(leaves, vectorNames, func(c *parquet.Column) bool {
		return c.MaxRepetitionLevel() == 1 && (c.Type().Kind() == parquet.Float || c.Type().Kind() == parquet.Double)
	})
	if err != nil || vectors == nil {
		return errors.Join(errors.New("no column of lists of float or double"), err)
	}
	ids, err := pick(leaves, idNames, func(c *parquet.Column) bool {
		k := c.Type().Kind()
		return c.MaxRepetitionLevel() == 0 && (k == parquet.ByteArray || k == parquet.Int32 || k == parquet.Int64)
	})
	if err != nil {
		return err
	}
	idColumn := -1
	if ids != nil {
		idColumn = ids.Index()
	}
	for _, g := range p.RowGroups() {
		if err := s.rowGroup(g, idColumn, vectors.Index()); err != nil {
			return err
		}
	}
	return nil
}

// pick finds the column that fits: by its name, else the only one; nil where
// none does.
func pick(leaves []*parquet.Column, names []string, fits func(*parquet.Column) bool) (*parquet.Column, error) {
	var found []*parquet.Column
	for _, c := range leaves {
		if fits(c) {
			found = append(found, c)
		}
	}
	for _, n := range names {
		for _, c := range found {
			if strings.EqualFold(c.Path()[0], n) {
				return c, nil
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	var have []string
	for _, c := range found {
		have = append(have, strings.Join(c.Path(), "."))
	}
	return nil, fmt.Errorf("columns %s could all be meant; name one of them %s", strings.Join(have, ", "), names[0])
}

func (s *Set) rowGroup(g parquet.RowGroup, id, vector int) error {
	rows := g.Rows()
	defer rows.Close()
	buf := make([]parquet.Row, rowsAtOnce)
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			if err := s.row(row, id, vector); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		if n == 0 {
			return io.ErrNoProgress
		}
	}
}

func (s *Set) row(row parquet.Row, id, vector int) error {
	at, before := 0, len(s.Data)
	if s.Width > 0 {
		at = before / s.Width
	}
	for _, v := range row {
		switch v.Column() {
		case vector:
			switch {
			case v.IsNull():
				return fmt.Errorf("row %d: the embedding is missing or has a null", at)
			case v.Kind() == parquet.Float:
				s.Data = append(s.Data, v.Float())
			default:
				s.Data = append(s.Data, float32(v.Double()))
			}
		case id:
			if v.IsNull() {
				return fmt.Errorf("row %d: the id is missing", at)
			}
			s.IDs = append(s.IDs, strings.Clone(v.String()))
		}
	}
	if s.Width == 0 {
		s.Width = len(s.Data)
	}
	if got := len(s.Data) - before; got != s.Width {
		return fmt.Errorf("row %d: embedding of width %d, others %d", at, got, s.Width)
	}
	return nil
}

// idRow and plainRow are rows as Write makes them, with ids and without.
type (
	idRow struct {
		ID        string    `parquet:"id"`
		Embedding []float32 `parquet:"embedding,list"`
	}
	plainRow struct {
		Embedding []float32 `parquet:"embedding,list"`
	}
)

func writeParquet(path string, s *Set) error {
	var b bytes.Buffer
	var err error
	row := func(i int) []float32 { return s.Data[i*s.Width : (i+1)*s.Width] }
	if s.IDs == nil {
		rows := make([]plainRow, s.Len())
		for i := range rows {
			rows[i] = plainRow{row(i)}
		}
		err = parquet.Write(&b, rows)
	} else {
		rows := make([]idRow, s.Len())
		for i, id := range s.IDs {
			rows[i] = idRow{id, row(i)}
		}
		err = parquet.Write(&b, rows)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return fsys.WriteFile(fsys.OS, path, b.Bytes())
}
