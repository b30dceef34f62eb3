package remote

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"

	"github.com/flops-vit/flops/internal/uierr"
)

// AnswerFile keeps answers in a file: a magic line, then per image its key, the
// number of logits (uint32), the logits (float32) and a CRC-32 of these, all
// little-endian. It is only ever appended to. A record that a crash cut short
// ends the file when it is opened again: that image is asked for once more.
type AnswerFile struct {
	mu   sync.Mutex
	f    *os.File
	at   map[Key]place
	size int64
}

type place struct {
	offset int64 // of the logits
	n      int
}

const (
	answerMagic = "flops answers 1\n"
	maxLogits   = 1 << 24
	recordHead  = len(Key{}) + 4
)

// OpenAnswers opens or makes a file of answers.
func OpenAnswers(path string) (*AnswerFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the answers: %w", err)
	}
	a := &AnswerFile{f: f, at: map[Key]place{}}
	if err = a.load(path); err == nil {
		err = f.Truncate(a.size)
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return a, nil
}

// load indexes the sound records.
func (a *AnswerFile) load(path string) error {
	st, err := a.f.Stat()
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(a.f, 1<<20)
	magic := make([]byte, len(answerMagic))
	switch n, err := io.ReadFull(r, magic); {
	case err != nil && string(magic[:n]) == answerMagic[:n]: // new, or cut short in its first line
		if _, err := a.f.WriteAt([]byte(answerMagic), 0); err != nil {
			return fmt.Errorf("begin the answers: %w", err)
		}
		a.size = int64(len(answerMagic))
		return nil
	case err != nil || string(magic) != answerMagic:
		return uierr.New(path+": not a file of a model's answers", "move it away")
	}
	a.size = int64(len(answerMagic))
	head := make([]byte, recordHead)
	for {
		if _, err := io.ReadFull(r, head); err != nil {
			return ended(err)
		}
		n := int64(binary.LittleEndian.Uint32(head[len(Key{}):]))
		if n > maxLogits || a.size+int64(recordHead)+4*n+4 > st.Size() {
			return nil
		}
		body := make([]byte, 4*n+4)
		if _, err := io.ReadFull(r, body); err != nil {
			return ended(err)
		}
		sum := crc32.Update(crc32.ChecksumIEEE(head), crc32.IEEETable, body[:4*n])
		if sum != binary.LittleEndian.Uint32(body[4*n:]) {
			return nil
		}
		a.at[Key(head[:len(Key{})])] = place{a.size + int64(recordHead), int(n)}
		a.size += int64(recordHead) + 4*n + 4
	}
}

// ended is nil where a file is merely over.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return fmt.Errorf("read the answers: %w", err)
}

// Len is the number of images whose answer is kept.
func (a *AnswerFile) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

// Get reads the logits of key.
func (a *AnswerFile) Get(key Key, out []float32) (bool, error) {
	a.mu.Lock()
	p, ok := a.at[key]
	a.mu.Unlock()
	if !ok {
		return false, nil
	}
	if p.n != len(out) {
		return false, fmt.Errorf("answers: %d logits are kept of an image and %d are wanted", p.n, len(out))
	}
	b := make([]byte, 4*p.n)
	if _, err := a.f.ReadAt(b, p.offset); err != nil {
		return false, fmt.Errorf("read an answer: %w", err)
	}
	copy(out, binaryFloats(b))
	return true, nil
}

// Put appends the logits of key, unless they are there.
func (a *AnswerFile) Put(key Key, logits []float32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.at[key]; ok {
		return nil
	}
	b := append([]byte(nil), key[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(logits)))
	b = appendFloats(b, logits)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	if _, err := a.f.WriteAt(b, a.size); err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	a.at[key] = place{a.size + int64(recordHead), len(logits)}
	a.size += int64(len(b))
	return nil
}

// Sync returns when everything put is on the disk.
func (a *AnswerFile) Sync() error { return a.f.Sync() }

// Close syncs and closes the file.
func (a *AnswerFile) Close() error {
	return errors.Join(a.f.Sync(), a.f.Close())
}
