package prefix

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

var key = Key{Data: "d", Weights: "w", Preparation: "p", Kernel: "k", Records: 5, Width: 300}

// numbers of a record, with some that a careless copy would lose.
func numbers(record int) []float32 {
	v := make([]float32, key.Width)
	for i := range v {
		v[i] = float32(record)*1e-3 + float32(i)
	}
	v[0], v[1] = float32(math.Copysign(0, -1)), math.Float32frombits(0x7fc12345)
	return v
}

func same(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// sums are those of images that changed is added to.
func sums(changed uint64) func(int) (uint64, error) {
	return func(i int) (uint64, error) { return uint64(i) + changed, nil }
}

func open(t *testing.T, path string, changed uint64) (c Cache, warned *[]string) {
	t.Helper()
	warned = &[]string{}
	c, err := InFile(path, key, sums(changed), func(s string) { *warned = append(*warned, s) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, warned
}

// TestKeeps: what is kept comes back bit for bit, of a file also after it was
// closed, and what is not kept does not.
func TestKeeps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "train.prefix")
	inFile, _ := open(t, path, 0)
	for _, c := range []Cache{InMemory(key.Records), inFile} {
		for _, i := range []int{3, 0} {
			if err := c.Keep(i, numbers(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	again, warned := open(t, path, 0)
	unmapped, _ := open(t, path, 0)
	unmapped.(*file).view.Unmap()
	unmapped.(*file).view = nil
	for _, c := range []Cache{inFile, again, unmapped} {
		buf := make([]float32, key.Width)
		for i := range key.Records {
			got, err := c.Recall(i, buf)
			kept := i == 3 || i == 0
			if err != nil || c.Has(i) != kept || kept != (got != nil) || kept && !same(got, numbers(i)) {
				t.Errorf("record %d: %v, %v", i, got, err)
			}
		}
	}
	if len(*warned) > 0 {
		t.Error(*warned)
	}
}

// TestBegunAtOnce: of processes that make a file at the same time all can use it, and what
// one of them keeps the others' successors find.
func TestBegunAtOnce(t *testing.T) {
	for range 50 {
		path := filepath.Join(t.TempDir(), "train.prefix")
		var all sync.WaitGroup
		for i := range key.Records {
			all.Go(func() {
				c, err := InFile(path, key, sums(0), func(string) {})
				if err != nil {
					t.Error(err)
					return
				}
				if err := errors.Join(c.Keep(i, numbers(i)), c.Close()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		c, _ := open(t, path, 0)
		for i := range key.Records {
			if !c.Has(i) {
				t.Errorf("record %d is lost", i)
			}
		}
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// TestDamage: a record that is not what was written is made again, with a word.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "train.prefix")
	c, _ := open(t, path, 0)
	for i := range key.Records {
		if err := c.Keep(i, numbers(i)); err != nil {
			t.Fatal(err)
		}
	}
	at := c.(*file).at(2)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[at+7] ^= 1
	if err := os.WriteFile(path, raw[:len(raw)-4], 0o644); err != nil { // the last record is cut
		t.Fatal(err)
	}
	again, warned := open(t, path, 0)
	buf := make([]float32, key.Width)
	for i := range key.Records {
		got, err := again.Recall(i, buf)
		if sound := i != 2 && i != 4; err != nil || sound != (got != nil) || sound != again.Has(i) {
			t.Errorf("record %d: %v, %v", i, got, err)
		}
	}
	if len(*warned) != 2 || !strings.Contains((*warned)[0], "record 2 is damaged") {
		t.Error(*warned)
	}
	if err := again.Keep(2, numbers(2)); err != nil {
		t.Fatal(err)
	}
	if got, err := again.Recall(2, buf); err != nil || !same(got, numbers(2)) {
		t.Error("a record that was made again", got, err)
	}
}

// TestRefused: a file of another key, or none of this program, is refused by what
// is another, with what to do, and an image that changed since.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "train.prefix")
	c, _ := open(t, path, 0)
	if err := c.Keep(1, numbers(1)); err != nil {
		t.Fatal(err)
	}
	refused := func(path string, k Key, want string) {
		t.Helper()
		_, err := InFile(path, k, sums(0), nil)
		if e, ok := errors.AsType[*uierr.Error](err); !ok || !strings.Contains(e.What, want) || e.Hint == "" {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	for want, change := range map[string]func(*Key){
		"belongs to other data":    func(k *Key) { k.Data = "x" },
		"belongs to other weights": func(k *Key) { k.Weights = "x" },
		"prepared otherwise":       func(k *Key) { k.Preparation = "x" },
		"was made by k":            func(k *Key) { k.Kernel = "x" },
		"5 records of 300":         func(k *Key) { k.Width = 301 },
	} {
		k := key
		change(&k)
		refused(path, k, want)
	}
	head := key.head()
	other := slices.Clone(head)
	binary.LittleEndian.PutUint32(other[8:], 7)
	damaged := slices.Clone(head)
	damaged[20] ^= 1
	long := slices.Clone(head)
	binary.LittleEndian.PutUint32(long[12:], 1<<31)
	for want, raw := range map[string][]byte{"no cache": []byte("something else altogether"), "format 7": other,
		"cut short": head[:40], "damaged": damaged, "is cut short": long} {
		path := filepath.Join(dir, "bad")
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		refused(path, key, want)
	}
	again, _ := open(t, path, 1)
	if _, err := again.Recall(1, make([]float32, key.Width)); err == nil || !strings.Contains(err.Error(), "other data") {
		t.Errorf("an image that changed: %v", err)
	}
}

// TestFull: where nothing more can be written, nothing more is kept, and it is said once.
func TestFull(t *testing.T) {
	c, warned := open(t, filepath.Join(t.TempDir(), "train.prefix"), 0)
	f := c.(*file)
	f.f.Close()
	for i := range 3 {
		if err := c.Keep(i, numbers(i)); err != nil || c.Has(i) {
			t.Errorf("record %d: %v", i, err)
		}
	}
	if len(*warned) != 1 || !strings.Contains((*warned)[0], "no more is kept") {
		t.Error(*warned)
	}
}
