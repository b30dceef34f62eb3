package journal

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/uierr"
)

const (
	magic      = "FLOPSJNL"
	version    = 1
	headerSize = len(magic) + 4 + 32 + 4
	frameHead  = 4 + 4 + 1 // length, step, kind
	frameTail  = 4         // checksum
	// maxBody bounds one record; a step of 4096 images with 1024 queries each
	// at 73 sites has 600 MB of coefficients and is past what a journal is for.
	maxBody = 1 << 28
)

// buffer is how much of a journal is read or written at a time.
const buffer = 1 << 18

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Kinds of records.
const (
	KindStep   uint8 = 1 // a step of a run (package steps)
	KindAnswer uint8 = 2 // what a model that is only called answered about an image
	KindAsked  uint8 = 3 // how many images such a model is asked about

	lastKind = KindAsked
)

// FrameTail is the length of what follows a record's body.
const FrameTail = frameTail

// Record is one framed entry of a journal.
type Record struct {
	Step uint32
	Kind uint8
	Body []byte
}

// Writer appends records to a file. It is buffered: a record is in the file
// after Sync, which a run calls before each update.
type Writer struct {
	path   string
	f      fsys.File
	w      *bufio.Writer
	offset int64
}

// Create begins a journal; hash names the experiment it belongs to.
func Create(disk fsys.FS, path string, hash [32]byte) (*Writer, error) {
	f, err := disk.Create(path)
	if err != nil {
		return nil, fsys.WriteError(err, path)
	}
	j := newWriter(path, f, 0)
	head := append([]byte(magic), binary.LittleEndian.AppendUint32(nil, version)...)
	head = append(head, hash[:]...)
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli))
	err = j.write(head)
	if err == nil {
		err = fsys.WriteError(disk.SyncDir(filepath.Dir(path)), path)
	}
	if err != nil {
		_ = f.Close() // the first error is the one to tell
		return nil, err
	}
	return j, nil
}

// Resume goes on in a journal at the offset that a checkpoint holds and
// cuts off the records after it. The journal must be of the same experiment and
// sound up to there.
func Resume(disk fsys.FS, path string, hash [32]byte, offset int64) (*Writer, error) {
	if err := longEnough(path, offset); err != nil {
		return nil, err
	}
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	err = r.walkTo(offset, hash)
	if e := r.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	f, err := disk.OpenAt(path, offset)
	if err != nil {
		return nil, fsys.WriteError(err, path)
	}
	return newWriter(path, f, offset), nil
}

// walkTo checks every record up to offset.
func (r *Reader) walkTo(offset int64, hash [32]byte) error {
	if r.Hash() != hash {
		return uierr.New(r.path+": the journal of another experiment", "resume with the config.yaml of the run folder")
	}
	for r.Offset() < offset {
		if _, err := r.Next(); err != nil {
			return uierr.Wrap(err, fmt.Sprintf("%s: %v", r.path, err), "resume from an earlier checkpoint")
		}
	}
	if r.Offset() != offset {
		return uierr.New(fmt.Sprintf("%s: no record ends at byte %d, where the checkpoint was saved", r.path, offset),
			"journal and checkpoint are of different runs; resume from another checkpoint")
	}
	return nil
}

func (j *Writer) write(p []byte) error {
	n, err := j.w.Write(p)
	j.offset += int64(n)
	return fsys.WriteError(err, j.path)
}

// Append adds a record.
func (j *Writer) Append(r Record) error {
	if len(r.Body) > maxBody {
		return fmt.Errorf("%s: a record of %d bytes is larger than %d", j.path, len(r.Body), maxBody)
	}
	var head [frameHead]byte
	frameHeader(head[:], r)
	sum := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, r.Body)
	if err := j.write(head[:]); err != nil {
		return err
	}
	if err := j.write(r.Body); err != nil {
		return err
	}
	return j.write(binary.LittleEndian.AppendUint32(nil, sum))
}

func frameHeader(dst []byte, r Record) {
	binary.LittleEndian.PutUint32(dst, uint32(len(r.Body)))
	binary.LittleEndian.PutUint32(dst[4:], r.Step)
	dst[8] = r.Kind
}

// newWriter appends to an open file of a length.
func newWriter(path string, f fsys.File, offset int64) *Writer {
	return &Writer{path: path, f: f, w: bufio.NewWriterSize(f, buffer), offset: offset}
}

// Flush puts every record into the file, where it outlives the process though
// not the machine, and returns the length of the journal.
func (j *Writer) Flush() (int64, error) { return j.offset, fsys.WriteError(j.w.Flush(), j.path) }

// Sync puts every record on the disk and returns the length of the journal,
// for a checkpoint to hold.
func (j *Writer) Sync() (int64, error) {
	err := j.w.Flush()
	if err == nil {
		err = j.f.Sync()
	}
	return j.offset, fsys.WriteError(err, j.path)
}

// Close writes what is buffered and closes the file.
func (j *Writer) Close() error {
	err := j.w.Flush()
	if e := j.f.Close(); err == nil {
		err = e
	}
	return fsys.WriteError(err, j.path)
}
