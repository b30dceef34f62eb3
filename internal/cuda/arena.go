package cuda

import (
	"fmt"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// alignment of everything in an arena: what cuBLAS and wide loads want.
const alignment = 256

func align(n int64) int64 { return (n + alignment - 1) / alignment * alignment }

// Arena is the one piece of device memory that everything of a model lives in.
// It is planned before it exists: the same code that takes memory runs once on
// an arena that only counts, so that a run that will not fit is refused before
// it starts.
type Arena struct {
	driver Driver
	base   Ptr
	size   int64 // -1: counts only
	used   int64
	parts  []part // what was taken, for the message of a refusal
}

type part struct {
	what  string
	bytes int64
}

// NewMeasure is an arena without memory, to find out how much is needed.
func NewMeasure() *Arena { return &Arena{size: -1} }

// NewArena takes bytes of device memory. what is the setting that a person can
// lower when there is not enough.
func NewArena(d Driver, bytes int64, lower string) (*Arena, error) {
	free, total, err := d.Memory()
	if err != nil {
		return nil, err
	}
	if bytes > free {
		return nil, tooLarge("this run", bytes, free, total, lower)
	}
	p, err := d.Alloc(max(bytes, alignment))
	if err != nil {
		return nil, fmt.Errorf("%w (asked for %s of %s free)", err, size(bytes), size(free))
	}
	return &Arena{driver: d, base: p, size: max(bytes, alignment)}, nil
}

func tooLarge(what string, asked, free, total int64, lower string) error {
	return uierr.New(fmt.Sprintf("train.device: %s asks for %s of GPU memory, and %s of %s are free", what, size(asked),
		size(free), size(total)),
		"lower "+lower+", or free memory on the GPU (nvidia-smi shows who holds it)")
}

// Take is the next piece of the arena, for what the name says. Its content is
// undefined.
func (a *Arena) Take(what string, bytes int64) (Ptr, error) {
	n := align(bytes)
	if a.size >= 0 && n > a.size-a.used {
		return 0, fmt.Errorf("cuda: %s asks for %s, and %s of the arena's %s are free (it holds %s)",
			what, size(n), size(a.size-a.used), size(a.size), a.Contents())
	}
	p := a.base + Ptr(a.used)
	if a.size < 0 {
		p = alignment // an address that is never used
	}
	a.used += n
	a.parts = append(a.parts, part{what, n})
	return p, nil
}

// Used is the number of bytes taken.
func (a *Arena) Used() int64 { return a.used }

// Measuring says that the arena only counts.
func (a *Arena) Measuring() bool { return a.size < 0 }

// Contents lists what was taken, in one line: the sum of each kind of thing in
// the order in which the first of it was taken.
func (a *Arena) Contents() string {
	var kinds []part
	at := map[string]int{}
	for _, p := range a.parts {
		i, ok := at[p.what]
		if !ok {
			i = len(kinds)
			at[p.what] = i
			kinds = append(kinds, part{what: p.what})
		}
		kinds[i].bytes += p.bytes
	}
	var s []string
	for _, k := range kinds {
		s = append(s, k.what+" "+size(k.bytes))
	}
	return strings.Join(s, ", ")
}

// Close gives the memory back.
func (a *Arena) Close() error {
	if a.size < 0 || a.base == 0 {
		return nil
	}
	p := a.base
	a.base, a.size, a.used = 0, 0, 0
	return a.driver.Free(p)
}

// size writes a number of bytes for a person.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}
