package checkpoint

import (
	"bytes"
	"encoding/binary"
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
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/testkit"
)

func stepRecord(step uint32) *StepRecord {
	return &StepRecord{Step: step, Seed: 1<<63 + uint64(step), Images: []int32{5, 0, math.MaxInt32, int32(step)}, Counts: []uint32{8, 2, 14, 8},
		Values: []float64{0.1, math.Inf(-1)},
		Parts: []Coefficients{
			{Perturbation: query.Perturbation{Kind: query.Activation, Step: step, Sites: []int{31, 36}, Sigma: []float32{0.01, 0.02}},
				Coefs: testkit.Fill(16, float64(step)), Mean: []float32{0.5}},
			{Perturbation: query.Perturbation{Kind: query.Weight, Step: step, Sigma: []float32{1e-3}, Params: []int{1, 2, 103}},
				Coefs: []float32{float32(math.Inf(1)), -0.25}},
		}}
}

func TestStepRecord(t *testing.T) {
	wide := stepRecord(9)
	wide.Counts[2] = 70000
	for _, s := range []*StepRecord{stepRecord(7), wide, {Step: 3, Seed: 1}} {
		r := s.Encode()
		got, err := DecodeStep(r)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v became %+v, %v", s, got, err)
		}
		for n := range r.Body {
			if _, err := DecodeStep(Record{r.Step, r.Kind, r.Body[:n]}); err == nil {
				t.Fatalf("a record cut to %d bytes was read", n)
			}
		}
		if _, err := DecodeStep(Record{r.Step, r.Kind, append(bytes.Clone(r.Body), 0)}); err == nil {
			t.Error("a record with a byte too many was read")
		}
	}
	if _, err := DecodeStep(Record{4, KindAnswer, stepRecord(1).Encode().Body}); err == nil {
		t.Error("an answer was read as a step")
	}
	claim := binary.LittleEndian.AppendUint32(make([]byte, 8), math.MaxUint32) // 2^32−1 images
	if n := testkit.Allocated(func() { _, _ = DecodeStep(Record{1, KindStep, claim}) }); n > 1<<16 {
		t.Errorf("%d bytes allocated on a record's word", n)
	}
}

// journal writes steps 1..n and returns the path and the offset after each.
func journal(t testing.TB, n int) (string, []int64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.bin")
	j, err := CreateJournal(fsys.OS, path, [32]byte{1, 2})
	testkit.Must(t, err)
	at := []int64{}
	for i := range n + 1 {
		if i > 0 {
			testkit.Must(t, j.Append(stepRecord(uint32(i)).Encode()))
		}
		off, err := j.Sync()
		testkit.Must(t, err)
		at = append(at, off)
	}
	testkit.Must(t, j.Close())
	return path, at
}

// steps reads a journal to where it is sound.
func steps(t *testing.T, path string) []uint32 {
	t.Helper()
	r, err := OpenJournal(path)
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
		s, err := DecodeStep(rec)
		testkit.Must(t, err)
		if !reflect.DeepEqual(s, stepRecord(s.Step)) {
			t.Fatalf("step %d came back different", s.Step)
		}
		out = append(out, s.Step)
	}
}

func TestJournal(t *testing.T) {
	path, at := journal(t, 4)
	if got := steps(t, path); !reflect.DeepEqual(got, []uint32{1, 2, 3, 4}) {
		t.Fatal(got)
	}
	whole, err := os.ReadFile(path)
	testkit.Must(t, err)
	// Resumed after step 2 and run again, it has the same bytes.
	j, err := ResumeJournal(fsys.OS, path, [32]byte{1, 2}, at[2])
	testkit.Must(t, err)
	testkit.Must(t, j.Append(stepRecord(3).Encode()))
	testkit.Must(t, j.Append(stepRecord(4).Encode()))
	if off, err := j.Sync(); err != nil || off != at[4] {
		t.Error(off, err)
	}
	testkit.Must(t, j.Close())
	if again, _ := os.ReadFile(path); !bytes.Equal(again, whole) {
		t.Error("a resumed journal differs from one that was not stopped")
	}
	if n, torn, err := SoundJournal(path); n != at[4] || torn != nil || err != nil {
		t.Error(n, torn, err)
	}
}

// TestTornJournal cuts the journal at every byte, and alters every byte: what
// stands before is read, the rest is refused, and a resume cuts it off.
func TestTornJournal(t *testing.T) {
	path, at := journal(t, 3)
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
			_, err := OpenJournal(path)
			testkit.Mistake(t, err, path)
			continue
		}
		k := sound(n)
		length, torn, err := SoundJournal(path)
		if err != nil || length != at[k] || (torn == nil) != (n == at[k]) {
			t.Fatalf("cut to %d: sound to %d (want %d), %v, %v", n, length, at[k], torn, err)
		}
	}
	for n := range int64(len(whole)) {
		b := bytes.Clone(whole)
		b[n] ^= 0x10
		testkit.Write(t, path, b)
		if n < at[0] {
			_, err := OpenJournal(path)
			testkit.Mistake(t, err, path)
			continue
		}
		length, torn, err := SoundJournal(path)
		if err != nil || length != at[sound(n)] || torn == nil {
			t.Fatalf("byte %d altered: sound to %d (want %d), %v, %v", n, length, at[sound(n)], torn, err)
		}
	}
	testkit.Write(t, path, whole[:at[3]-5])
	j, err := ResumeJournal(fsys.OS, path, [32]byte{1, 2}, at[2])
	testkit.Must(t, err)
	testkit.Must(t, j.Append(stepRecord(3).Encode()))
	testkit.Must(t, j.Close())
	if b, _ := os.ReadFile(path); !bytes.Equal(b, whole) {
		t.Error("a torn journal was not mended by its resume")
	}
	_, err = ResumeJournal(fsys.OS, path, [32]byte{9}, at[2])
	testkit.Mistake(t, err, path, "another experiment")
	_, err = ResumeJournal(fsys.OS, path, [32]byte{1, 2}, at[2]+1)
	testkit.Mistake(t, err, path, "no record ends")
	_, err = ResumeJournal(fsys.OS, path, [32]byte{1, 2}, at[3]+1)
	testkit.Mistake(t, err, path, "bytes")
	b := bytes.Clone(whole)
	b[at[1]+20] ^= 1
	testkit.Write(t, path, b)
	_, err = ResumeJournal(fsys.OS, path, [32]byte{1, 2}, at[2])
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
			j, err := CreateJournal(disk, path, [32]byte{})
			if err != nil {
				return err
			}
			for i := range uint32(6) {
				if err := j.Append(stepRecord(i).Encode()); err != nil {
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
		if length, _, err := SoundJournal(path); err != nil || length < certain {
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

func BenchmarkJournal(b *testing.B) {
	j, err := CreateJournal(fsys.OS, filepath.Join(b.TempDir(), "journal.bin"), [32]byte{})
	if err != nil {
		b.Fatal(err)
	}
	// 64 images, 7 sites, 4 pairs each
	s := &StepRecord{Images: make([]int32, 64), Counts: make([]uint32, 64)}
	for range 7 {
		s.Parts = append(s.Parts, Coefficients{Perturbation: query.Perturbation{Sites: []int{1}, Sigma: []float32{1}}, Coefs: testkit.Fill(256, 1)})
	}
	for b.Loop() {
		if err := j.Append(s.Encode()); err != nil {
			b.Fatal(err)
		}
	}
}
