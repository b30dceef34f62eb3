package remote

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/journal"
	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/uierr"
)

// AnswerFile keeps answers in a file with the framing of a journal (package
// checkpoint): a record of kind answer per image, and one of kind asked before
// every request and after every one that brought nothing. Only the end of the
// file that a crash cut short is cut off; a record that was damaged since costs
// that record alone. An image that was asked for and whose answer is not there
// was paid for: Lost counts it.
type AnswerFile struct {
	mu    sync.Mutex
	path  string
	j     *journal.Writer // nil: nothing is kept
	r     *os.File        // nil: there is no file
	at    map[Key]place
	size  int64
	asked int64 // images of requests that were not called off
	had   int64 // answers, each record counted
}

type place struct {
	offset int64 // of the logits
	n      int
}

// oldMagic begins the files of versions before this framing.
const oldMagic = "flops answers 1\n"

// answersHash stands where a run's journal names its experiment.
var answersHash = sha256.Sum256([]byte("answers of a model that is only called"))

// OpenAnswers opens or makes a file of answers. warn gets a line where answers
// that were paid for are lost.
func OpenAnswers(disk fsys.FS, path string, warn func(string)) (*AnswerFile, error) {
	a, err := ReadAnswers(disk, path, warn)
	if err != nil {
		return nil, err
	}
	if a.size > 0 {
		a.j, err = journal.OpenAt(disk, path, a.size)
	} else if a.j, err = journal.Create(disk, path, answersHash); err == nil {
		a.size, err = a.j.Flush()
	}
	if err == nil && a.r == nil {
		a.r, err = os.Open(path)
	}
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// ReadAnswers opens a file of answers to look them up and keeps no others. A file
// that is not there has none.
func ReadAnswers(_ fsys.FS, path string, warn func(string)) (*AnswerFile, error) {
	a := &AnswerFile{path: path, at: map[Key]place{}}
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the answers: %w", err)
	}
	if a.r, err = os.Open(path); err != nil {
		return nil, fmt.Errorf("open the answers: %w", err)
	}
	if err := a.load(st.Size(), warn); err != nil {
		return nil, errors.Join(err, a.r.Close())
	}
	return a, nil
}

// load indexes the sound records.
func (a *AnswerFile) load(size int64, warn func(string)) error {
	magic := make([]byte, len(oldMagic))
	if n, _ := a.r.ReadAt(magic, 0); string(magic[:n]) == oldMagic {
		return uierr.New(a.path+": the answers of a run of an older version",
			"end that run with the version that began it, or move the file away and pay for its answers again")
	}
	s, err := journal.Salvage(a.path, func(r journal.Record, body int64) error {
		switch {
		case r.Kind == journal.KindAnswer && len(r.Body) >= len(Key{}) && len(r.Body)%4 == 0:
			a.at[Key(r.Body[:len(Key{})])] = place{body + int64(len(Key{})), (len(r.Body) - len(Key{})) / 4}
			a.had++
		case r.Kind == journal.KindAsked && len(r.Body) == 4:
			a.asked += int64(int32(binary.LittleEndian.Uint32(r.Body)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if a.size = s.End; size < s.End { // not even the header is whole
		a.size = 0
	}
	if n := a.lost(); n > 0 || s.Damaged > 0 {
		warn(fmt.Sprintf("%s: %d answers that were asked for are not there (%d damaged places, %d bytes cut short at the "+
			"end); those that are needed are asked for again, and all count in budget.max_queries",
			a.path, n, s.Damaged, max(0, size-s.End)))
	}
	return nil
}

// Len is the number of images whose answer is kept.
func (a *AnswerFile) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

// Lost is the number of images that the model may have answered and whose answer
// is not there: a crash or a damage has taken it.
func (a *AnswerFile) Lost() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost()
}

func (a *AnswerFile) lost() int64 { return max(0, a.asked-a.had) }

// Asked notes, before a request, how many images it asks for; a negative number
// calls off those of a request that brought nothing.
func (a *AnswerFile) Asked(n int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := a.append(journal.KindAsked, binary.LittleEndian.AppendUint32(nil, uint32(int32(n))))
	if err == nil {
		a.asked += int64(n)
	}
	return err
}

// append writes a record, for a process that is killed to have written it too,
// and says where its body begins.
func (a *AnswerFile) append(kind uint8, body []byte) (int64, error) {
	if a.j == nil {
		return 0, nil
	}
	if err := a.j.Append(journal.Record{Kind: kind, Body: body}); err != nil {
		return 0, err
	}
	end, err := a.j.Flush()
	return end - int64(len(body)) - journal.FrameTail, err
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
	if _, err := a.r.ReadAt(b, p.offset); err != nil {
		return false, fmt.Errorf("read an answer: %w", err)
	}
	copy(out, oip.Floats(b))
	return true, nil
}

// Put appends the logits of key, unless they are there.
func (a *AnswerFile) Put(key Key, logits []float32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.at[key]; ok || a.j == nil {
		return nil
	}
	at, err := a.append(journal.KindAnswer, oip.AppendFloats(append([]byte(nil), key[:]...), logits))
	if err != nil {
		return err
	}
	a.at[key] = place{at + int64(len(key)), len(logits)}
	a.had++
	return nil
}

// Sync returns when everything put is on the disk.
func (a *AnswerFile) Sync() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.j == nil {
		return nil
	}
	_, err := a.j.Sync()
	return err
}

// Close syncs and closes the file.
func (a *AnswerFile) Close() error {
	err := a.Sync()
	if a.j != nil {
		err = errors.Join(err, a.j.Close())
	}
	if a.r != nil {
		err = errors.Join(err, a.r.Close())
	}
	return err
}
