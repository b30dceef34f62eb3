package remote

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/oip"
)

// flaky is a model whose requests fail by a rule, and that counts what it
// answered.
type flaky struct {
	linear
	fail  func(call int64) error
	calls atomic.Int64
	asked atomic.Int64 // images answered
	busy  atomic.Int64
	peak  atomic.Int64
	pause time.Duration
}

func (f *flaky) Call(ctx context.Context, x []float32, n int, out []float32) error {
	b := f.busy.Add(1)
	defer f.busy.Add(-1)
	for p := f.peak.Load(); b > p && !f.peak.CompareAndSwap(p, b); p = f.peak.Load() {
	}
	time.Sleep(f.pause)
	if f.fail != nil {
		if err := f.fail(f.calls.Add(1)); err != nil {
			return err
		}
	}
	f.asked.Add(int64(n))
	return f.linear.Call(ctx, x, n, out)
}

func newPool(t *testing.T, c Caller, p Policy, m *Meter, a Answers) *Pool {
	t.Helper()
	pool, err := NewPool(c, p, m, a)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// TestEachImageOnce: with one request in three failing, every image's answer is
// right, is kept once, and both ends count the same.
func TestEachImageOnce(t *testing.T) {
	const n = 101
	f := &flaky{linear: small(), pause: time.Millisecond, fail: func(c int64) error {
		if c%3 == 0 {
			return oip.TryAgain("now and then")
		}
		return nil
	}}
	a, m := newMemory(), NewMeter(0, Counts{})
	policy := quick()
	policy.Retries = 100 // one request may be unlucky often
	p := newPool(t, f, policy, m, a)
	x, out := normals(n*12, 3), make([]float32, n*3)
	if err := p.Ask(context.Background(), n, images(x, 12), out); err != nil {
		t.Fatal(err)
	}
	want, _ := small().Logits(context.Background(), x, n)
	if !slices.Equal(out, want) {
		t.Error("logits differ")
	}
	c := m.Counts()
	if c.Images != n || f.asked.Load() != n || len(a.m) != n || a.twice != 0 || c.Retried == 0 || c.Requests != 26 {
		t.Errorf("counted %+v, the model answered %d, kept %d, twice %d", c, f.asked.Load(), len(a.m), a.twice)
	}
	if f.peak.Load() != 3 {
		t.Errorf("%d requests under way at once, want 3", f.peak.Load())
	}
	// Asked again, in another order and with repeats, nothing is sent.
	order := []int{5, 100, 5, 0, 77}
	again := make([]float32, len(order)*3)
	err := p.Ask(context.Background(), len(order), func(i int, dst []float32) { images(x, 12)(order[i], dst) }, again)
	if err != nil || f.asked.Load() != n || m.Counts().Known != int64(len(order)) {
		t.Errorf("%v; the model answered %d, counted %+v", err, f.asked.Load(), m.Counts())
	}
	for j, i := range order {
		if !slices.Equal(again[3*j:3*j+3], want[3*i:3*i+3]) {
			t.Errorf("image %d: another answer than before", i)
		}
	}
}

// TestEqualImagesSentOnce: within one call too, and without anything kept.
func TestEqualImagesSentOnce(t *testing.T) {
	f, m := &flaky{linear: small()}, NewMeter(0, Counts{})
	x, out := normals(2*12, 3), make([]float32, 7*3)
	err := newPool(t, f, quick(), m, nil).Ask(context.Background(), 7,
		func(i int, dst []float32) { images(x, 12)(i%2, dst) }, out)
	want, _ := small().Logits(context.Background(), x, 2)
	if err != nil || f.asked.Load() != 2 || m.Counts() != (Counts{Images: 2, Requests: 1, Known: 5}) {
		t.Errorf("%v; the model answered %d, counted %+v", err, f.asked.Load(), m.Counts())
	}
	for i := range 7 {
		if !slices.Equal(out[3*i:3*i+3], want[3*(i%2):3*(i%2)+3]) {
			t.Errorf("image %d: wrong answer", i)
		}
	}
}

// TestCeiling: budget.max_queries is never passed, and a call that does not fit
// sends nothing.
func TestCeiling(t *testing.T) {
	f, m := &flaky{linear: small()}, NewMeter(20, Counts{Images: 3})
	p := newPool(t, f, quick(), m, newMemory())
	x, out := normals(40*12, 3), make([]float32, 40*3)
	if err := p.Ask(context.Background(), 10, images(x, 12), out); err != nil {
		t.Fatal(err)
	}
	err := p.Ask(context.Background(), 18, images(x, 12), out) // 10 known and 8 new; 7 are left
	userError(t, err, "budget.max_queries", "13 of 20")
	if !errors.Is(err, ErrBudget) || f.asked.Load() != 10 || m.Left() != 7 {
		t.Errorf("%v; the model answered %d, %d left", err, f.asked.Load(), m.Left())
	}
	if err := p.Ask(context.Background(), 17, images(x, 12), out); err != nil || m.Left() != 0 || m.Counts().Images != 20 {
		t.Errorf("%v; %d left", err, m.Left())
	}
}

// TestFailureKeepsAnswers: when a request fails for good, what was answered is
// kept, and a second run asks for the rest alone.
func TestFailureKeepsAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.bin")
	a, err := OpenAnswers(fsys.OS, path, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	f := &flaky{linear: small(), fail: func(c int64) error {
		if c == 5 {
			return oip.Permanently("it fell over")
		}
		return nil
	}}
	const n = 80
	x, out := normals(n*12, 3), make([]float32, n*3)
	m := NewMeter(0, Counts{})
	err = newPool(t, f, quick(), m, a).Ask(context.Background(), n, images(x, 12), out)
	userError(t, err, "it fell over")
	kept := a.Len()
	if kept == 0 || kept >= n || int64(kept) != f.asked.Load() || m.Counts().Images != int64(kept) {
		t.Errorf("kept %d, the model answered %d, counted %+v", kept, f.asked.Load(), m.Counts())
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	// A crash in the middle of a write leaves half a record.
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, whole[48:48+40]...), 0o644); err != nil {
		t.Fatal(err)
	}
	if a, err = OpenAnswers(fsys.OS, path, func(string) {}); err != nil || a.Len() != kept {
		t.Fatalf("%v; %d answers of %d", err, a.Len(), kept)
	}
	defer a.Close()
	m = NewMeter(0, Counts{Images: int64(kept)})
	if err := newPool(t, f, quick(), m, a).Ask(context.Background(), n, images(x, 12), out); err != nil {
		t.Fatal(err)
	}
	want, _ := small().Logits(context.Background(), x, n)
	if !slices.Equal(out, want) || f.asked.Load() != n || a.Len() != n || m.Counts().Images != n {
		t.Errorf("the model answered %d in all, kept %d, counted %+v", f.asked.Load(), a.Len(), m.Counts())
	}
}

// TestStopKeepsWhatIsUnderWay: a run that is asked to stop begins no request,
// and keeps the answers of those that it had begun.
func TestStopKeepsWhatIsUnderWay(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	f := &flaky{linear: small(), pause: 20 * time.Millisecond, fail: func(c int64) error {
		if c == 4 {
			stop()
		}
		return nil
	}}
	a, m := newMemory(), NewMeter(0, Counts{})
	const n = 400
	err := newPool(t, f, quick(), m, a).Ask(ctx, n, images(normals(n*12, 3), 12), make([]float32, n*3))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if got := int64(len(a.m)); got == 0 || got == n || got != f.asked.Load() || got != m.Counts().Images ||
		m.reserved != 0 {
		t.Errorf("kept %d, the model answered %d, counted %+v, reserved %d", got, f.asked.Load(), m.Counts(), m.reserved)
	}
}

func TestAnswerFileRefusesStrangers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte("these are my notes, do not cut them"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := OpenAnswers(fsys.OS, path, func(string) {})
	userError(t, err, path)
	if b, _ := os.ReadFile(path); string(b) != "these are my notes, do not cut them" {
		t.Errorf("the file now holds %q", b)
	}
}

func FuzzAnswerFile(f *testing.F) {
	f.Add([]byte(oldMagic))
	f.Add([]byte("FLOPSJNL\x01\x00\x00\x000123456789abcdef0123456789abcdefxxxx\x04\x00\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff"))
	f.Add([]byte("FLOPS"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		a, err := OpenAnswers(fsys.OS, path, func(string) {})
		if err != nil {
			return
		}
		defer a.Close()
		k, out := Key{1}, make([]float32, 2)
		if err := a.Put(k, []float32{1, 2}); err != nil {
			t.Fatal(err)
		}
		if ok, err := a.Get(k, out); !ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
	})
}

// TestMeterOwes: what a resumed run spent after its checkpoint counts only when the
// run comes to it again, and what was asked anew counts at once.
func TestMeterOwes(t *testing.T) {
	m := NewMeter(0, Counts{Images: 10, Known: 3})
	m.Owe(6)
	for _, c := range []struct {
		known, answered int
		want            int64
	}{{0, 0, 6}, {3, 0, 9}, {0, 2, 11}, {4, 0, 12}, {5, 1, 13}} {
		m.known(c.known)
		m.answered(c.answered)
		if got := m.Spent(); got != c.want {
			t.Errorf("after %+v: %d spent, want %d", c, got, c.want)
		}
	}
}

// TestKeep: a pool is given answers after it was made: what they know is not asked
// again, and what is counted begins at what was spent for them, under the same ceiling.
func TestKeep(t *testing.T) {
	f, a := &flaky{linear: small()}, newMemory()
	x, out := normals(5*12, 3), make([]float32, 5*3)
	ask := func(p *Pool, n int) error { return p.Ask(context.Background(), n, images(x, 12), out[:3*n]) }
	if err := ask(newPool(t, f, quick(), NewMeter(0, Counts{}), a), 3); err != nil {
		t.Fatal(err)
	}
	p := newPool(t, f, quick(), NewMeter(4, Counts{}), nil)
	p.Keep(a, Counts{Images: 3})
	if err := ask(p, 4); err != nil {
		t.Fatal(err)
	}
	if got := p.Counts(); got.Images != 4 || got.Known != 3 || f.asked.Load() != 4 || len(a.m) != 4 {
		t.Errorf("counted %+v, the model answered %d, %d are kept", got, f.asked.Load(), len(a.m))
	}
	if err := ask(p, 5); !errors.Is(err, ErrBudget) {
		t.Errorf("a fifth image under a ceiling of 4: %v", err)
	}
}
