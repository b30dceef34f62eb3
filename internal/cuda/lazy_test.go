package cuda

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/flops-vit/flops/forward"
)

// lazy is the host's driver at its latest: nothing that is issued runs before
// somebody waits for it, copies from page-locked memory read it only then, and
// the copy stream runs only when the other stream has to wait for it. Page-locked
// memory that is written again too early, and a missing order between streams,
// show as wrong numbers.
type lazy struct {
	*hostDriver
	queue  [streams][]func() error
	ran    [streams]int // entries run so far
	pinned [][]byte
}

func (l *lazy) Pinned(n int) ([]byte, error) {
	b, err := l.hostDriver.Pinned(n)
	l.pinned = append(l.pinned, b)
	return b, err
}

func (l *lazy) locked(src []byte) bool {
	p := uintptr(unsafe.Pointer(unsafe.SliceData(src)))
	for _, b := range l.pinned {
		lo := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
		if p >= lo && p < lo+uintptr(len(b)) {
			return true
		}
	}
	return false
}

func (l *lazy) later(s Stream, f func() error) error {
	l.queue[s] = append(l.queue[s], f)
	return nil
}

// drain runs a stream up to its n-th entry since the beginning.
func (l *lazy) drain(s Stream, n int) error {
	for l.ran[s] < n {
		f := l.queue[s][0]
		l.queue[s] = l.queue[s][1:]
		l.ran[s]++
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// issued is the number of entries that a stream was given.
func (l *lazy) issued(s Stream) int { return l.ran[s] + len(l.queue[s]) }

func (l *lazy) Upload(dst Ptr, src []byte, s Stream) error {
	if !l.locked(src) {
		src = append([]byte{}, src...)
	}
	return l.later(s, func() error { return l.hostDriver.Upload(dst, src, s) })
}

func (l *lazy) Download(dst []byte, src Ptr, s Stream) error {
	if err := l.drain(s, l.issued(s)); err != nil {
		return err
	}
	return l.hostDriver.Download(dst, src, s)
}

func (l *lazy) CopyWithin(dst, src Ptr, n int64, s Stream) error {
	return l.later(s, func() error { return l.hostDriver.CopyWithin(dst, src, n, s) })
}

func (l *lazy) Zero(dst Ptr, n int64, s Stream) error {
	return l.later(s, func() error { return l.hostDriver.Zero(dst, n, s) })
}

func (l *lazy) Launch(kernel string, grid, block Dim, dynamic int, s Stream, args []Arg) error {
	args = append([]Arg{}, args...)
	return l.later(s, func() error { return l.hostDriver.Launch(kernel, grid, block, dynamic, s, args) })
}

// Order makes the later stream run what the earlier one had been given by now.
func (l *lazy) Order(before, after Stream) error {
	n := l.issued(before)
	return l.later(after, func() error { return l.drain(before, n) })
}

func (l *lazy) Sync() error {
	for s := range l.queue {
		if err := l.drain(Stream(s), l.issued(Stream(s))); err != nil {
			return err
		}
	}
	return l.hostDriver.Sync()
}

// TestLazyDevice runs every kind of pass on a device that does nothing until it
// is waited for.
func TestLazyDevice(t *testing.T) {
	for name, run := range map[string]func(t *testing.T, w *twins){
		"sites": func(t *testing.T, w *twins) {
			w.clean([]int{1, 5})
			q, terms := queries(w.b.Size, 3)
			for _, s := range []int{1, 5} {
				p := &forward.Perturbation{Step: 3, Sites: []int{s}, Sigma: []float32{0.05}}
				w.losses(p, q, "site")
				w.ok(w.cpuPass.Accumulate(w.ctx, p, terms))
				w.ok(w.gpuPass.Accumulate(w.ctx, p, terms))
			}
			w.grads("sites", 1e-4)
		},
		"joint":    func(t *testing.T, w *twins) { jointCase(w) },
		"weights":  func(t *testing.T, w *twins) { weightsCase(w) },
		"backward": func(t *testing.T, w *twins) { backwardCase(w) },
		"steps":    func(t *testing.T, w *twins) { stepsCase(w, 4) },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, twinsOn(t, &lazy{hostDriver: newHostDriver(t)}, tiny, 5, true, Options{Slots: 2}))
		})
	}
}

// TestLazyTightDevice has so little memory that a joint gradient goes in parts,
// each of which writes the same page-locked memory.
func TestLazyTightDevice(t *testing.T) {
	h := newHostDriver(t)
	h.total = leastMemory(t, 5, all(14))
	w := twinsOn(t, &lazy{hostDriver: h}, tiny, 5, true, Options{})
	jointCase(w)
	terms := 13
	for key, p := range w.gpu.b.progs {
		if len(p.Reads) == 0 || !strings.Contains(key, "x1.0") {
			continue // not the suffix with the inputs of every site
		}
		if p.Slots >= terms {
			t.Errorf("%s has %d slots: this device is not tight", key, p.Slots)
		}
		terms = 0
	}
	if terms != 0 {
		t.Error("no gradient ran")
	}
}

// TestLongLists tells the device of sixteen queries at a time, so that every list
// goes in parts.
func TestLongLists(t *testing.T) {
	defer func(n int) { queryRoom = n }(queryRoom)
	queryRoom = 16
	w := twinsOn(t, &lazy{hostDriver: newHostDriver(t)}, tiny, 5, true, Options{})
	q, terms := queries(5, 6)
	w.clean([]int{1, 4})
	p := &forward.Perturbation{Step: 3, Sites: []int{4}, Sigma: []float32{0.05}}
	w.losses(p, q, "site")
	w.ok(w.cpuPass.Accumulate(w.ctx, p, terms))
	w.ok(w.gpuPass.Accumulate(w.ctx, p, terms))
	w.grads("site", 1e-4)
	weightsCase(w)
	for i := range terms {
		terms[i].Sign = 1
	}
	w.clean([]int{1, 4})
	p = &forward.Perturbation{Step: 4, Sites: []int{1, 4}, Sigma: []float32{0.05, 0.1}}
	w.ok(w.cpuPass.Accumulate(w.ctx, p, terms))
	w.ok(w.gpuPass.Accumulate(w.ctx, p, terms))
	w.grads("joint", 2e-4)
}
