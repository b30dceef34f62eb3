package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/uierr"
)

// TornError says where a journal stops being sound. What stands before Offset
// is.
type TornError struct {
	Offset int64
	Reason string
}

// Error says where and why.
func (e *TornError) Error() string {
	return fmt.Sprintf("torn or altered after byte %d: %s", e.Offset, e.Reason)
}

// Reader iterates over the records of a journal.
type Reader struct {
	path   string
	close  func() error
	r      *bufio.Reader
	size   int64
	offset int64
	hash   [32]byte
}

// Open opens a journal and checks its header.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsys.ReadError(err, path)
	}
	st, err := f.Stat()
	var r *Reader
	if err == nil {
		if r, err = newReader(f, st.Size()); err != nil {
			err = uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err), "give the journal.bin of a run")
		}
	}
	if err != nil {
		_ = f.Close() // opened for reading: nothing can be lost
		return nil, err
	}
	r.path, r.close = path, f.Close
	return r, nil
}

func newReader(in io.Reader, size int64) (*Reader, error) {
	r := &Reader{r: bufio.NewReaderSize(in, buffer), size: size}
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(r.r, head); err != nil {
		return nil, errors.New("too short for a journal")
	}
	body := head[:headerSize-4]
	at := len(magic)
	switch v := binary.LittleEndian.Uint32(head[at:]); {
	case string(head[:at]) != magic:
		return nil, errors.New("not a journal")
	case v != version:
		return nil, fmt.Errorf("a journal of version %d, this program reads %d", v, version)
	case crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(head[headerSize-4:]):
		return nil, errors.New("the journal's header was altered")
	}
	copy(r.hash[:], head[at+4:])
	r.offset = int64(headerSize)
	return r, nil
}

// Hash names the experiment that the journal belongs to.
func (r *Reader) Hash() [32]byte { return r.hash }

// Offset is the end of the last record read.
func (r *Reader) Offset() int64 { return r.offset }

// Close closes the file.
func (r *Reader) Close() error { return r.close() }

// Next reads the next record. The error is io.EOF after the last one and a
// *TornError where the rest cannot be read; the body is the caller's.
func (r *Reader) Next() (Record, error) {
	left := r.size - r.offset
	if left == 0 {
		return Record{}, io.EOF
	}
	if left < frameHead+frameTail {
		return Record{}, r.torn("%d bytes are too few for a record", left)
	}
	var head [frameHead]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return Record{}, r.lost(err)
	}
	n := int64(binary.LittleEndian.Uint32(head[:]))
	if n > maxBody || n > left-frameHead-frameTail {
		return Record{}, r.torn("a record claims %d bytes, %d are left", n, left-frameHead-frameTail)
	}
	body := make([]byte, n+frameTail)
	if _, err := io.ReadFull(r.r, body); err != nil {
		return Record{}, r.lost(err)
	}
	sum := binary.LittleEndian.Uint32(body[n:])
	body = body[:n]
	if crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, body) != sum {
		return Record{}, r.torn("the checksum of the record does not match")
	}
	r.offset += frameHead + n + frameTail
	return Record{Step: binary.LittleEndian.Uint32(head[4:]), Kind: head[8], Body: body}, nil
}

func (r *Reader) torn(format string, a ...any) error {
	return &TornError{r.offset, fmt.Sprintf(format, a...)}
}

// lost tells a file that became shorter from a disk that fails.
func (r *Reader) lost(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.torn("the file became shorter while it was read")
	}
	return err
}
