package prefix

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/edsrzf/mmap-go"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/uierr"
)

// A file is, in little-endian order:
//
//	"FLOPSPFX", u32 version, u32 n, n bytes of JSON (a Key), u32 CRC-32C of all that
//	an entry per record, from the next multiple of page on: u32 1 where it is kept,
//	    u32 CRC-32C of the record, u64 sum of the image that it was made of
//	the records of Width float32, from the next multiple of page on
const (
	magic     = "FLOPSPFX"
	version   = 1
	page      = 4096
	entrySize = 16
	maxHead   = page - 64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// file is a Cache in a file, which is read through a map of it and written past
// the map, so that a full disk is an error and no fault.
type file struct {
	path    string
	key     Key
	f       *os.File
	view    mmap.MMap // nil: the system maps no file of this size
	has     []atomic.Bool
	entries []byte // as on the disk when it was opened, and since
	trusted []bool // records whose image was looked at, or that were made now
	sum     func(record int) (uint64, error)
	warn    func(string)
	full    bool // the disk took no more
	scratch []byte
}

// InFile opens or makes the file of a key. sum is that of the image of a record,
// which is asked once for every record that an earlier run made; warn is told in a
// line where the disk is full, and where a record was damaged. A file of another
// key is a *uierr.Error.
func InFile(path string, k Key, sum func(record int) (uint64, error), warn func(string)) (Cache, error) {
	if err := fsys.OS.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, fsys.WriteError(err, path)
	}
	head := k.head()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err = begin(path, head); err == nil {
			f, err = os.OpenFile(path, os.O_RDWR, 0)
		}
	}
	if err != nil {
		return nil, fsys.WriteError(err, path)
	}
	c := &file{path: path, key: k, f: f, sum: sum, warn: warn, has: make([]atomic.Bool, k.Records),
		entries: make([]byte, entrySize*k.Records), trusted: make([]bool, k.Records), scratch: make([]byte, 4*k.Width)}
	if err := c.open(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// begin makes a file with its head whole, unless another process has made it meanwhile:
// what that one keeps in it stays.
func begin(path string, head []byte) error {
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(t.Name())
	_, err = t.Write(head)
	if err = errors.Join(err, t.Chmod(0o644), t.Sync(), t.Close()); err != nil {
		return err
	}
	err = os.Link(t.Name(), path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return os.Rename(t.Name(), path) // a file system without links
}

// head is the beginning of a key's file.
func (k Key) head() []byte {
	text, _ := json.Marshal(k) // of texts and numbers it cannot fail
	b := binary.LittleEndian.AppendUint32([]byte(magic), version)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// open checks what stands in the file and makes it as long as it is to be.
func (c *file) open() error {
	if err := c.readHead(); err != nil {
		return err
	}
	if err := c.f.Truncate(c.at(c.key.Records)); err != nil {
		return fsys.WriteError(err, c.path)
	}
	if _, err := c.f.ReadAt(c.entries, page); err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	for i := range c.has {
		c.has[i].Store(binary.LittleEndian.Uint32(c.entries[entrySize*i:]) == 1)
	}
	c.view, _ = mmap.Map(c.f, mmap.RDONLY, 0) // without one it is read piece by piece
	return nil
}

// readHead refuses a file that is none of this key's.
func (c *file) readHead() error {
	bad := func(why string) error {
		return uierr.New(fmt.Sprintf("%s: %s", c.path, why), "remove the file; what it kept is made again")
	}
	b := make([]byte, page)
	n, err := c.f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	b = b[:n]
	if len(b) < 16 || !bytes.HasPrefix(b, []byte(magic)) {
		return bad("is no cache of this program")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return bad(fmt.Sprintf("is a cache of format %d, and this program reads format %d", v, version))
	}
	size := int64(binary.LittleEndian.Uint32(b[12:]))
	if size > maxHead || int64(len(b)) < 16+size+4 {
		return bad("is cut short")
	}
	if binary.LittleEndian.Uint32(b[16+size:]) != crc32.Checksum(b[:16+size], castagnoli) {
		return bad("is damaged at its head")
	}
	var k Key
	if err := json.Unmarshal(b[16:16+size], &k); err != nil {
		return bad("is damaged at its head")
	}
	return c.key.refuse(c.path, k)
}

// at is where a record begins.
func (c *file) at(record int) int64 {
	first := (page + int64(entrySize)*int64(c.key.Records) + page - 1) / page * page
	return first + 4*int64(c.key.Width)*int64(record)
}

func (c *file) Has(record int) bool { return c.has[record].Load() }

// Recall copies a record that is sound and was made of the image as it is.
func (c *file) Recall(record int, buf []float32) ([]float32, error) {
	if !c.has[record].Load() {
		return nil, nil
	}
	if err := c.read(record); err != nil {
		return nil, err
	}
	entry := c.entries[entrySize*record : entrySize*(record+1)]
	if crc32.Checksum(c.scratch, castagnoli) != binary.LittleEndian.Uint32(entry[4:]) {
		c.warn(fmt.Sprintf("%s: record %d is damaged and is made again", c.path, record))
		c.has[record].Store(false)
		return nil, nil
	}
	if !c.trusted[record] {
		sum, err := c.sum(record)
		if err != nil {
			return nil, err
		}
		if sum != binary.LittleEndian.Uint64(entry[8:]) {
			what := fmt.Sprintf("%s: belongs to other data: the image of record %d is another now", c.path, record)
			return nil, uierr.New(what, "restore the image, or remove the file")
		}
		c.trusted[record] = true
	}
	buf = slices.Grow(buf[:0], c.key.Width)[:c.key.Width]
	for i := range buf {
		buf[i] = math.Float32frombits(binary.LittleEndian.Uint32(c.scratch[4*i:]))
	}
	return buf, nil
}

// read brings the bytes of a record to scratch. A file that somebody cuts while it
// is mapped is an error.
func (c *file) read(record int) (err error) {
	at := c.at(record)
	if c.view == nil {
		if _, err := c.f.ReadAt(c.scratch, at); err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
		return nil
	}
	was := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(was)
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: record %d cannot be read any more: %v", c.path, record, r)
		}
	}()
	copy(c.scratch, c.view[at:])
	return nil
}

// Keep writes a record and then its entry. Where the disk takes no more, nothing
// more is kept.
func (c *file) Keep(record int, made []float32) error {
	if c.full {
		return nil
	}
	sum, err := c.sum(record)
	if err != nil {
		return err
	}
	for i, v := range made[:c.key.Width] {
		binary.LittleEndian.PutUint32(c.scratch[4*i:], math.Float32bits(v))
	}
	entry := c.entries[entrySize*record : entrySize*(record+1)]
	binary.LittleEndian.PutUint32(entry, 1)
	binary.LittleEndian.PutUint32(entry[4:], crc32.Checksum(c.scratch, castagnoli))
	binary.LittleEndian.PutUint64(entry[8:], sum)
	if _, err = c.f.WriteAt(c.scratch, c.at(record)); err == nil {
		_, err = c.f.WriteAt(entry, page+entrySize*int64(record))
	}
	if err != nil {
		c.full = true
		c.warn(fmt.Sprintf("%v; no more is kept", fsys.WriteError(err, c.path)))
		return nil
	}
	c.trusted[record] = true
	c.has[record].Store(true)
	return nil
}

func (c *file) Close() error {
	var err error
	if c.view != nil {
		err = c.view.Unmap()
	}
	c.view = nil
	return errors.Join(err, c.f.Close())
}
