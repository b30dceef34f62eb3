package data

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	pqformat "github.com/parquet-go/parquet-go/format"

	"github.com/flops-vit/flops/internal/filekind"
	"github.com/flops-vit/flops/internal/uierr"
)

// The parquet library believes the sizes that a file states. These checks come
// first, so that it is only shown sizes that the bytes can honour.
const (
	maxFooter     = 64 << 20 // bytes of a file's metadata
	maxSchema     = 4096     // columns, groups included
	maxGroupRows  = 1 << 24
	maxPageBytes  = 1 << 30
	maxPageHeader = 1 << 20
)

// plainDictionary is the number of PLAIN_DICTIONARY, which version 1 of the
// format wrote and many files still have.
const plainDictionary pqformat.Encoding = 2

// openShard opens a file after its footer is found sound.
func openShard(path string) (*shard, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unopened(path, err)
	}
	s := &shard{path: path, f: f}
	err = guard(func() error {
		st, err := f.Stat()
		if err != nil {
			return err
		}
		if !st.Mode().IsRegular() {
			return errors.New("not a regular file")
		}
		if err := filekind.MisplacedIn(f); err != nil {
			return err
		}
		if err := checkFooter(f, st.Size()); err != nil {
			return err
		}
		s.pq, err = parquet.OpenFile(f, st.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		return err
	})
	if err != nil {
		f.Close()
		return nil, damagedParquet(path, err)
	}
	return s, nil
}

func checkFooter(r io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < 12 {
		return fmt.Errorf("%d bytes are too few for a parquet file", size)
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	if string(tail[4:]) != "PAR1" {
		return errors.New("does not end as a parquet file")
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > size-12 || n > maxFooter {
		return fmt.Errorf("the footer claims %d bytes of metadata", n)
	}
	raw := make([]byte, n)
	if _, err := r.ReadAt(raw, size-8-n); err != nil {
		return err
	}
	used, err := thriftWalk(raw)
	if err != nil {
		return err
	}
	var meta pqformat.FileMetaData
	if err := thrift.Unmarshal(&thrift.CompactProtocol{}, raw[:used], &meta); err != nil {
		return err
	}
	if len(meta.Schema) == 0 || len(meta.Schema) > maxSchema {
		return fmt.Errorf("%d columns, the limit is %d", len(meta.Schema), maxSchema)
	}
	for _, e := range meta.Schema {
		if e.NumChildren.Valid && (e.NumChildren.V < 0 || int(e.NumChildren.V) > len(meta.Schema)) {
			return errThrift
		}
	}
	for g, rg := range meta.RowGroups {
		if rg.NumRows < 0 || rg.NumRows > maxGroupRows {
			return fmt.Errorf("row group %d claims %d rows, the limit is %d", g, rg.NumRows, maxGroupRows)
		}
		for _, c := range rg.Columns {
			if err := checkExtent(c.MetaData, size); err != nil {
				return fmt.Errorf("row group %d: %w", g, err)
			}
		}
	}
	return nil
}

// checkExtent says whether a column chunk lies in the file.
func checkExtent(m pqformat.ColumnMetaData, size int64) error {
	start := chunkStart(m)
	if start < 4 || m.DataPageOffset < 4 || m.TotalCompressedSize < 0 || start > size || m.DataPageOffset > size ||
		m.TotalCompressedSize > size-start {
		return fmt.Errorf("column %v lies outside of the file", m.PathInSchema)
	}
	return nil
}

func chunkStart(m pqformat.ColumnMetaData) int64 {
	if m.DictionaryPageOffset != 0 {
		return m.DictionaryPageOffset
	}
	return m.DataPageOffset
}

// checkChunk walks the pages of a column chunk before the library reads them:
// each must lie in the chunk, unpack to what it says and, together, hold one
// value a row.
func (s *shard) checkChunk(group, column int) error {
	rg := s.pq.Metadata().RowGroups[group]
	if column >= len(rg.Columns) {
		return errThrift
	}
	m := rg.Columns[column].MetaData
	at, end := chunkStart(m), chunkStart(m)+m.TotalCompressedSize
	var values, unpacked int64
	for at < end {
		h, n, err := pageHeader(s.f, at, end)
		if err != nil {
			return err
		}
		at += int64(n)
		size, raw := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
		unpacked += raw
		if size < 0 || size > end-at || raw < 0 || unpacked > maxPageBytes {
			return fmt.Errorf("column %v: a page claims %d bytes, %d unpacked", m.PathInSchema, size, raw)
		}
		v, levels, err := pageValues(h)
		if err != nil {
			return fmt.Errorf("column %v: %w", m.PathInSchema, err)
		}
		if h.Type == pqformat.DictionaryPage {
			if v > maxGroupRows || v > max(raw, 1)*8 {
				return fmt.Errorf("column %v: a dictionary of %d values in %d bytes", m.PathInSchema, v, raw)
			}
		} else if values += v; values > rg.NumRows {
			return fmt.Errorf("column %v: more values than the %d rows", m.PathInSchema, rg.NumRows)
		}
		if levels > size || levels > raw {
			return errThrift
		}
		codec := m.Codec
		if v2 := h.DataPageHeaderV2; h.Type == pqformat.DataPageV2 && v2.V.IsCompressed.Valid && !v2.V.IsCompressed.V {
			codec = pqformat.Uncompressed
		}
		body := io.NewSectionReader(s.f, at+levels, size-levels)
		if err := checkPacked(body, codec, raw-levels); err != nil {
			return fmt.Errorf("column %v: %w", m.PathInSchema, err)
		}
		at += size
	}
	return nil
}

// unreadParquet is the error of what a sound file may hold and is not read here.
func unreadParquet(format string, a ...any) error {
	return uierr.New(fmt.Sprintf(format, a...),
		`write it again so: pyarrow.parquet.write_table(table, PATH, compression="zstd")`)
}

// pageHeader reads the header at an offset, and its length.
func pageHeader(r io.ReaderAt, at, end int64) (*pqformat.PageHeader, int, error) {
	for room := int64(1 << 10); ; room *= 16 {
		buf := make([]byte, min(room, end-at))
		if _, err := r.ReadAt(buf, at); err != nil {
			return nil, 0, err
		}
		n, err := thriftWalk(buf)
		if err != nil {
			if room < maxPageHeader && room < end-at { // longer than the first guess
				continue
			}
			return nil, 0, err
		}
		h := &pqformat.PageHeader{}
		return h, n, thrift.Unmarshal(&thrift.CompactProtocol{}, buf[:n], h)
	}
}

// pageValues is the number of values of a page and the bytes of its levels
// that stand outside of the packed part.
func pageValues(h *pqformat.PageHeader) (values, levels int64, err error) {
	var enc pqformat.Encoding
	switch {
	case h.Type == pqformat.DataPage && h.DataPageHeader.Valid:
		values, enc = int64(h.DataPageHeader.V.NumValues), h.DataPageHeader.V.Encoding
	case h.Type == pqformat.DataPageV2 && h.DataPageHeaderV2.Valid:
		v := h.DataPageHeaderV2.V
		values, enc = int64(v.NumValues), v.Encoding
		if v.RepetitionLevelsByteLength < 0 || v.DefinitionLevelsByteLength < 0 {
			return 0, 0, errThrift
		}
		levels = int64(v.RepetitionLevelsByteLength) + int64(v.DefinitionLevelsByteLength)
	case h.Type == pqformat.DictionaryPage && h.DictionaryPageHeader.Valid:
		values, enc = int64(h.DictionaryPageHeader.V.NumValues), h.DictionaryPageHeader.V.Encoding
	default:
		return 0, 0, errThrift
	}
	switch enc {
	case pqformat.Plain, plainDictionary, pqformat.RLEDictionary, pqformat.DeltaLengthByteArray,
		pqformat.DeltaBinaryPacked:
	default: // DELTA_BYTE_ARRAY can unpack to the square of its size
		return 0, 0, unreadParquet("pages are encoded as %v; plain, dictionary and delta-length pages are read", enc)
	}
	if values < 0 {
		return 0, 0, errThrift
	}
	return values, levels, nil
}

// checkPacked says whether the packed part of a page unpacks to size bytes.
// Snappy states its size; gzip and zstd are unpacked once, into nothing.
func checkPacked(body *io.SectionReader, codec pqformat.CompressionCodec, size int64) error {
	packed := body.Size()
	var r io.Reader
	switch codec {
	case pqformat.Uncompressed:
		if size != packed {
			return fmt.Errorf("a page of %d bytes claims %d", packed, size)
		}
		return nil
	case pqformat.Snappy:
		if size > 64*packed+64 { // three bytes copy at most 64
			return fmt.Errorf("a page of %d bytes claims to unpack to %d", packed, size)
		}
		head := make([]byte, min(packed, binary.MaxVarintLen64))
		if _, err := body.ReadAt(head, 0); err != nil {
			return err
		}
		if n, k := binary.Uvarint(head); len(head) > 0 && (k <= 0 || n != uint64(size)) {
			return fmt.Errorf("a page claims %d bytes and its data %d", size, n)
		}
		return nil
	case pqformat.Gzip:
		z, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		r = z
	case pqformat.Zstd:
		z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPageBytes),
			zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return err
		}
		defer z.Close()
		r = z
	default:
		return unreadParquet("pages are packed by %v; snappy, gzip, zstd and unpacked pages are read", codec)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("a page claims %d bytes and unpacks to %s", size,
			map[bool]string{true: "more", false: "less"}[n > size])
	}
	return err
}
