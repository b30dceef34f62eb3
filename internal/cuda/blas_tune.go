package cuda

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"
)

// tuneFrom is the number of operations from which on a product is worth the time to
// try the library's algorithms, of which its own first guess is up to a third slower.
// Tests make it small.
var tuneFrom int64 = 4e10

// tuneRuns is how often each algorithm is tried; the fastest run counts.
const tuneRuns = 3

// tuner remembers which of the algorithms that the library proposes is the fastest for
// a product. They differ in the order of sums, and a run that is resumed must make the
// bits that it would have made; so choices are kept in a file of the user's cache, by
// device, library and shape, and where there is no such place the library's first
// guess stands.
type tuner struct {
	path    string // "": nothing is tried
	key     string // device and library
	choices map[string]int
}

// openTuner reads what is remembered.
func openTuner(device string, version uintptr) *tuner {
	t := &tuner{key: fmt.Sprintf("%s, cuBLASLt %d", device, version), choices: map[string]int{}}
	dir := os.Getenv("FLOPS_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return t
		}
		dir = filepath.Join(user, "flops")
	}
	if os.MkdirAll(dir, 0o755) != nil {
		return t
	}
	t.path = filepath.Join(dir, "products.json")
	if text, err := os.ReadFile(t.path); err == nil && json.Unmarshal(text, &t.choices) != nil {
		t.choices = map[string]int{} // a file that is none of ours, or half written: written anew
	}
	return t
}

func (t *tuner) name(s ltShape) string {
	name := fmt.Sprintf("%s, %d×%d×%d, rows %d and %d apart, bf16 %v to %v, bias %v", t.key, s.m, s.n, s.k, s.lda, s.ldb,
		s.half, s.halfC, s.bias)
	if s.tanh {
		name += " and GELU by tanh"
	}
	return name
}

// keep remembers a choice, and writes it down: what cannot be written is tried again
// by the next run.
func (t *tuner) keep(s ltShape, choice int) {
	t.choices[t.name(s)] = choice
	text, err := json.MarshalIndent(t.choices, "", " ")
	if err != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(t.path), "products")
	if err != nil {
		return
	}
	_, err = f.Write(text)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), t.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
}

// tune picks a plan's algorithm, by memory or by trying them on the product itself,
// whose result does not depend on what it overwrites.
func (l *blasLt) tune(s ltShape, p *ltPlan, run func() uintptr) error {
	found := p.found
	p.found = nil
	if len(found) == 0 {
		return nil
	}
	p.algorithm = &found[0]
	if len(found) == 1 || l.tuner.path == "" || 2*int64(s.m)*int64(s.n)*int64(s.k) < tuneFrom {
		return nil
	}
	if i, ok := l.tuner.choices[l.tuner.name(s)]; ok && i < len(found) {
		p.algorithm = &found[i]
		return nil
	}
	best, least := 0, time.Duration(1<<62)
	for i := range found {
		p.algorithm = &found[i]
		for n := range tuneRuns + 1 { // the first loads the kernel
			if err := l.sync(); err != nil {
				return err
			}
			began := time.Now()
			if run() != 0 {
				break
			}
			if err := l.sync(); err != nil {
				return err
			}
			if took := time.Since(began); n > 0 && took < least {
				best, least = i, took
			}
		}
	}
	p.algorithm = &found[best]
	l.tuner.keep(s, best)
	return nil
}

// choose asks the library for the algorithms that it expects to be the fastest
// within the workspace.
func (l *blasLt) choose(p *ltPlan) uintptr {
	status := l.call(l.prefer, uintptr(unsafe.Pointer(&l.preference)))
	if status != 0 {
		return status
	}
	defer func() { l.call(l.preferDestroy, l.preference) }()
	status = l.call(l.preferSet, l.preference, ltPreferWorkspace, uintptr(unsafe.Pointer(&l.room)), 8)
	if status == 0 {
		status = l.call(l.heuristic, l.handle, p.desc, p.a, p.b, p.c, p.c, l.preference, ltAlgorithms,
			uintptr(unsafe.Pointer(&l.results[0])), uintptr(unsafe.Pointer(&l.found)))
	}
	if status == 0 {
		for _, r := range l.results[:l.found] {
			p.found = append(p.found, ltAlgorithmOf(r))
		}
	}
	return status
}

func ltAlgorithmOf(r [ltResult / 8]uint64) (a [ltAlgorithm / 8]uint64) {
	copy(a[:], r[:])
	return a
}
