package data

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

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
func eachValue(r parquet.ValueReader, buf []parquet.Value, rows, limit int64, f func(parquet.Value) error) (seen,
	used int64, err error) {
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
