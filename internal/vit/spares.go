package vit

import (
	"sync"

	"github.com/flops-vit/flops/internal/kernel"
)

// spares are packed weights of maps that need them no more before they change, for maps
// of the same shape that need some now: layer by layer, a network's derivative takes the
// memory of one layer's weights and not of all.
type spares struct {
	mu   sync.Mutex
	held map[[2]int][]kernel.Packed

	one   sync.Mutex
	whole []float32 // a weight that is made to be packed
}

// lend lends the memory of a weight of n values to one map at a time.
func (s *spares) lend(n int, f func(w []float32)) {
	s.one.Lock()
	defer s.one.Unlock()
	f(kernel.Grow(&s.whole, n))
}

// take is one of out×in, or an empty one.
func (s *spares) take(out, in int) (p kernel.Packed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]int{out, in}
	if n := len(s.held[key]); n > 0 {
		p, s.held[key] = s.held[key][n-1], s.held[key][:n-1]
	}
	return p
}

// give takes back what a map's derivative was made with; nobody may use it now.
func (s *spares) give(l *linear) {
	if l == nil || !l.backward.made {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = map[[2]int][]kernel.Packed{}
	}
	key := [2]int{l.out, l.in}
	s.held[key] = append(s.held[key], l.backward.of)
	l.backward.of, l.backward.made = kernel.Packed{}, false
}

// Past says that no derivative of a block's maps is made again before they change.
func (c *cpu) Past(block int) {
	for i, s := range c.net.sites {
		if s.Block == block {
			c.net.spare.give(c.net.linears[i])
		}
	}
}
