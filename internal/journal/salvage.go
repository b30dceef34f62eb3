package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/uierr"
)

// maxSought bounds the body of a record that is looked for behind a damaged one.
const maxSought = 1 << 20

// Salvaged is what a journal holds beside its sound records.
type Salvaged struct {
	End     int64 // of the last sound record; what follows was cut short
	Damaged int   // stretches between sound records that are not sound
}

// Salvage hands every sound record of a journal to visit, with the offset of its
// body, also those that stand after a damaged one. A journal that is too short
// for its header has no records.
func Salvage(path string, visit func(r Record, body int64) error) (Salvaged, error) {
	s := Salvaged{End: int64(headerSize)}
	f, err := os.Open(path)
	if err != nil {
		return s, fsys.ReadError(err, path)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return s, err
	}
	w := &window{f: f, size: st.Size()}
	head, err := w.at(0, len(magic))
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	if w.size < int64(headerSize) && !strings.HasPrefix(magic, string(head)) {
		return s, notJournal(path)
	}
	ours := string(head) == magic
	for at := s.End; at < w.size; {
		limit := int64(maxBody)
		if at > s.End { // numbers by chance must not have all of the file summed up at every byte
			limit = maxSought
		}
		r, n, err := w.record(at, limit)
		if err != nil {
			return s, fmt.Errorf("%s: %w", path, err)
		}
		if n == 0 {
			at++ // what a damaged record claims of its length is not to be believed
			continue
		}
		if at > s.End {
			s.Damaged++
		}
		if err := visit(r, at+frameHead); err != nil {
			return s, err
		}
		at, ours = at+n, true
		s.End = at
	}
	if w.size >= int64(headerSize) && !ours {
		return s, notJournal(path)
	}
	return s, nil
}

func notJournal(path string) error { return uierr.New(path+": not a journal", "move it away") }

// OpenAt goes on in a journal after its first end bytes and cuts off what
// follows.
func OpenAt(disk fsys.FS, path string, end int64) (*Writer, error) {
	f, err := disk.OpenAt(path, end)
	if err != nil {
		return nil, fsys.WriteError(err, path)
	}
	if err := disk.SyncDir(filepath.Dir(path)); err != nil {
		_ = f.Close() // the first error is the one to tell
		return nil, fsys.WriteError(err, path)
	}
	return newWriter(path, f, end), nil
}

// window reads a file at any place, a large piece at a time.
type window struct {
	f     *os.File
	size  int64
	start int64
	buf   []byte
}

// at is n bytes at an offset, or as many as there are.
func (w *window) at(offset int64, n int) ([]byte, error) {
	n = int(min(int64(n), max(0, w.size-offset)))
	if offset < w.start || offset+int64(n) > w.start+int64(len(w.buf)) {
		if cap(w.buf) < max(n, buffer) {
			w.buf = make([]byte, max(n, buffer))
		}
		got, err := w.f.ReadAt(w.buf[:min(int64(cap(w.buf)), w.size-offset)], offset)
		if err != nil && err != io.EOF {
			return nil, err
		}
		w.start, w.buf = offset, w.buf[:got]
		n = min(n, got)
	}
	return w.buf[offset-w.start:][:n], nil
}

// record is the record at an offset and its length; 0 where there is none. limit
// bounds the body, which is good until the next call.
func (w *window) record(at, limit int64) (Record, int64, error) {
	head, err := w.at(at, frameHead)
	if err != nil || len(head) < frameHead {
		return Record{}, 0, err
	}
	n := int64(binary.LittleEndian.Uint32(head))
	r := Record{Step: binary.LittleEndian.Uint32(head[4:]), Kind: head[8]}
	if r.Kind == 0 || r.Kind > lastKind || n > limit || n > w.size-at-frameHead-frameTail {
		return Record{}, 0, nil
	}
	all, err := w.at(at, int(frameHead+n+frameTail))
	if err != nil || int64(len(all)) < frameHead+n+frameTail {
		return Record{}, 0, err
	}
	body, sum := all[:frameHead+n], binary.LittleEndian.Uint32(all[frameHead+n:])
	if crc32.Checksum(body, castagnoli) != sum {
		return Record{}, 0, nil
	}
	r.Body = body[frameHead:]
	return r, frameHead + n + frameTail, nil
}
