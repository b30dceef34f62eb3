package journal

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/fsys/fault"
	"github.com/flops-vit/flops/internal/testkit"
)

// record is a record of a step, of a length and numbers of its own.
func record(step uint32) Record {
	body := make([]byte, 100+7*(step%5))
	for i := range body {
		body[i] = byte(uint32(i)*31 + step)
	}
	return Record{step, KindStep, body}
}

// write writes steps 1..n and returns the path and the offset after each.
func write(t testing.TB, n int) (string, []int64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.bin")
	j, err := Create(fsys.OS, path, [32]byte{1, 2})
	testkit.Must(t, err)
	at := []int64{}
	for i := range n + 1 {
		if i > 0 {
			testkit.Must(t, j.Append(record(uint32(i))))
		}
		off, err := j.Sync()
		testkit.Must(t, err)
		at = append(at, off)
	}
	testkit.Must(t, j.Close())
	return path, at
}

// read reads a journal to where it is sound.
func read(t *testing.T, path string) []uint32 {
	t.Helper()
	r, err := Open(path)
	testkit.Must(t, err)
	defer r.Close()
	var out []uint32
	for {
		rec, err := r.Next()
		var torn *TornError
		if errors.Is(err, io.EOF) || errors.As(err, &torn) {
			return out
		}
		testkit.Must(t, err)
		if !reflect.DeepEqual(rec, record(rec.Step)) {
			t.Fatalf("step %d came back different", rec.Step)
		}
		out = append(out, rec.Step)
	}
}

// soundTo is the length of a journal up to its last sound record, and the
// *TornError, if any, that says what follows; torn is nil for a whole journal.
func soundTo(path string) (length int64, torn *TornError, err error) {
	r, err := Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer r.Close()
	for {
		_, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return r.Offset(), nil, nil
		case errors.As(err, &torn):
			return r.Offset(), torn, nil
		case err != nil:
			return 0, nil, err
		}
	}
}

func TestJournal(t *testing.T) {
	path, at := write(t, 4)
	if got := read(t, path); !reflect.DeepEqual(got, []uint32{1, 2, 3, 4}) {
		t.Fatal(got)
	}
	whole, err := os.ReadFile(path)
	testkit.Must(t, err)
	// Resumed after step 2 and run again, it has the same bytes.
	j, err := Resume(fsys.OS, path, [32]byte{1, 2}, at[2])
	testkit.Must(t, err)
	testkit.Must(t, j.Append(record(3)))
	testkit.Must(t, j.Append(record(4)))
	if off, err := j.Sync(); err != nil || off != at[4] {
		t.Error(off, err)
	}
	testkit.Must(t, j.Close())
	if again, _ := os.ReadFile(path); !bytes.Equal(again, whole) {
		t.Error("a resumed journal differs from one that was not stopped")
	}
	if n, torn, err := soundTo(path); n != at[4] || torn != nil || err != nil {
		t.Error(n, torn, err)
	}
}

// TestTornJournal cuts the journal at every byte, and alters every byte: what
// stands before is read, the rest is refused, and a resume cuts it off.
func TestTornJournal(t *testing.T) {
	path, at := write(t, 3)
	whole, err := os.ReadFile(path)
	testkit.Must(t, err)
	sound := func(n int64) (k int) {
		for k+1 < len(at) && at[k+1] <= n {
			k++
		}
		return k
	}
	for n := range int64(len(whole)) {
		testkit.Write(t, path, whole[:n])
		if n < at[0] {
			_, err := Open(path)
			testkit.Mistake(t, err, path)
			continue
		}
		k := sound(n)
		length, torn, err := soundTo(path)
		if err != nil || length != at[k] || (torn == nil) != (n == at[k]) {
			t.Fatalf("cut to %d: sound to %d (want %d), %v, %v", n, length, at[k], torn, err)
		}
	}
	for n := range int64(len(whole)) {
		b := bytes.Clone(whole)
		b[n] ^= 0x10
		testkit.Write(t, path, b)
		if n < at[0] {
			_, err := Open(path)
			testkit.Mistake(t, err, path)
			continue
		}
		length, torn, err := soundTo(path)
		if err != nil || length != at[sound(n)] || torn == nil {
			t.Fatalf("byte %d altered: sound to %d (want %d), %v, %v", n, length, at[sound(n)], torn, err)
		}
	}
	t.Logf("%d bits flipped", len(whole)) // one of each byte
	testkit.Write(t, path, whole[:at[3]-5])
	j, err := Resume(fsys.OS, path, [32]byte{1, 2}, at[2])
	testkit.Must(t, err)
	testkit.Must(t, j.Append(record(3)))
	testkit.Must(t, j.Close())
	if b, _ := os.ReadFile(path); !bytes.Equal(b, whole) {
		t.Error("a torn journal was not mended by its resume")
	}
	_, err = Resume(fsys.OS, path, [32]byte{9}, at[2])
	testkit.Mistake(t, err, path, "another experiment")
	_, err = Resume(fsys.OS, path, [32]byte{1, 2}, at[2]+1)
	testkit.Mistake(t, err, path, "no record ends")
	_, err = Resume(fsys.OS, path, [32]byte{1, 2}, at[3]+1)
	testkit.Mistake(t, err, path, "bytes")
	b := bytes.Clone(whole)
	b[at[1]+20] ^= 1
	testkit.Write(t, path, b)
	_, err = Resume(fsys.OS, path, [32]byte{1, 2}, at[2])
	testkit.Mistake(t, err, path, "torn or altered")
}

// TestJournalPowerLoss: after a loss of power the journal is sound at least up
// to its last Sync.
func TestJournalPowerLoss(t *testing.T) {
	for n := 1; ; n++ {
		disk := &fault.FS{Mode: fault.Kill, At: n}
		path := filepath.Join(t.TempDir(), "journal.bin")
		var certain int64
		run := func() error {
			j, err := Create(disk, path, [32]byte{})
			if err != nil {
				return err
			}
			for i := range uint32(6) {
				if err := j.Append(record(i)); err != nil {
					return err
				}
				if i%2 == 1 {
					off, err := j.Sync()
					if err != nil {
						return err
					}
					certain = off
				}
			}
			return j.Close()
		}
		err := run()
		if !disk.Hit() {
			testkit.Must(t, err)
			return
		}
		testkit.Must(t, disk.PowerLoss(true))
		if certain == 0 {
			continue
		}
		if length, _, err := soundTo(path); err != nil || length < certain {
			t.Fatalf("op %d: sound to %d, synced to %d, %v", n, length, certain, err)
		}
	}
}

func TestLines(t *testing.T) {
	type line struct {
		Step int     `json:"step"`
		Loss float64 `json:"loss"`
	}
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	l, err := OpenLines(fsys.OS, path, 0)
	testkit.Must(t, err)
	var at []int64
	for i := range 5 {
		testkit.Must(t, l.Append(line{i, 1 / float64(i+3)}))
		off, err := l.Sync()
		testkit.Must(t, err)
		at = append(at, off)
	}
	testkit.Must(t, l.Close())
	whole, err := os.ReadFile(path)
	testkit.Must(t, err)
	testkit.Write(t, path, append(bytes.Clone(whole), `{"step":5,"lo`...))
	l, err = OpenLines(fsys.OS, path, at[2])
	testkit.Must(t, err)
	testkit.Must(t, l.Append(line{3, 1.0 / 6}))
	testkit.Must(t, l.Append(line{4, 1.0 / 7}))
	testkit.Must(t, l.Close())
	if again, _ := os.ReadFile(path); !bytes.Equal(again, whole) {
		t.Errorf("%s\n%s", again, whole)
	}
	_, err = OpenLines(fsys.OS, path, int64(len(whole))+1)
	testkit.Mistake(t, err, path)
	l, err = OpenLines(&fault.FS{Mode: fault.Short, At: 3, Err: syscall.ENOSPC}, path, 0)
	testkit.Must(t, err)
	if err := l.Append(line{0, math.Pi}); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := l.Append(math.NaN()); err == nil {
		t.Error("NaN became a line")
	}
	testkit.Must(t, l.Close())
}
