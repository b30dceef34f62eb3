package data

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/flops-vit/flops/internal/filekind"
	"github.com/flops-vit/flops/internal/imagefile"
	"github.com/flops-vit/flops/internal/uierr"
)

// packing is a way to pack a tar file, told by its first bytes.
type packing struct {
	name, magic string
	unpack      func(io.Reader) (io.Reader, error) // nil: not read
}

var packings = []packing{
	{"gzip", "\x1f\x8b", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"bzip2", "BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
	{"zstd", "\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, error) {
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	}},
	{"xz", "\xfd7zXZ\x00", nil},
}

// storage holds the bytes of images.
type storage interface {
	io.ReaderAt
	io.Closer
}

// scratch is a file of our own that goes when it is closed.
type scratch struct{ *os.File }

func (s scratch) Close() error {
	err := s.File.Close()
	if e := os.Remove(s.Name()); !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// tarFile is a shard while it is scanned.
type tarFile struct {
	*tar.Reader
	file   *os.File
	size   int64
	images storage   // the file, or the copy of its images; nil: none are kept
	packed io.Reader // the unpacked stream, nil for a plain shard
	copied int64     // bytes in the copy
	copy   *scratch
}

// openTarFile opens a shard, packed or not; headers says that no image will be
// asked for.
func openTarFile(path string, headers bool) (*tarFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unopened(path, err)
	}
	t := &tarFile{file: f}
	if err := filekind.MisplacedIn(f); err != nil {
		f.Close()
		return nil, filekind.At(path, err)
	}
	if err := t.start(headers); err != nil {
		f.Close()
		if failed(err) {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return nil, uierr.New(fmt.Sprintf("%s: %s", path, reason(err)),
			"give a tar file, plain or packed by gzip, bzip2 or zstd")
	}
	return t, nil
}

func (t *tarFile) start(headers bool) error {
	st, err := t.file.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return errors.Join(err, errors.New("not a regular file"))
	}
	t.size = st.Size()
	head := make([]byte, 8)
	n, err := t.file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	for _, p := range packings {
		if !bytes.HasPrefix(head[:n], []byte(p.magic)) {
			continue
		}
		if p.unpack == nil {
			return fmt.Errorf("packed by %s, which is not read: unpack it", p.name)
		}
		if t.packed, err = p.unpack(bufio.NewReader(t.file)); err != nil {
			return err
		}
		t.Reader = tar.NewReader(t.packed)
		if headers {
			return nil
		}
		f, err := os.CreateTemp("", "flops-shard-*")
		if err != nil {
			return err
		}
		os.Remove(f.Name()) // where an open file may be; Close removes it elsewhere
		t.copy = &scratch{f}
		t.images = t.copy
		return nil
	}
	t.Reader = tar.NewReader(t.file) // reads whole blocks and seeks, so the file stands at a member's data after Next
	t.images = t.file
	return nil
}

// left is the most bytes that a member can have.
func (t *tarFile) left() int64 {
	if t.packed != nil {
		return math.MaxInt64
	}
	at, err := t.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	return t.size - at
}

// place returns where the bytes of the present member will be found in images.
func (t *tarFile) place(h *tar.Header) (int64, error) {
	if t.packed == nil {
		return t.file.Seek(0, io.SeekCurrent)
	}
	at := t.copied
	if t.copy == nil {
		return at, nil
	}
	if t.copied += h.Size; t.copied > imagefile.Inflate*t.size {
		return 0, fmt.Errorf("%d bytes unpack to more than %d", t.size, imagefile.Inflate*t.size)
	}
	_, err := io.CopyN(t.copy, t.Reader, h.Size)
	return at, err
}

// done ends the scan: what follows the archive in a packed file is looked at,
// since its checksum stands there. A plain file stays open for its images.
func (t *tarFile) done() error {
	if t.packed == nil {
		return nil
	}
	_, err := io.CopyN(io.Discard, t.packed, 1<<20)
	if err == io.EOF {
		err = nil
	}
	if z, ok := t.packed.(*zstd.Decoder); ok {
		z.Close()
	}
	t.file.Close()
	return err
}
