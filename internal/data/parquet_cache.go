package data

import "sync"

const (
	// maxGroupBytes is the largest row group whose images are unpacked, 1 GiB.
	maxGroupBytes = 1 << 30
	// keptGroupBytes bounds the row groups that are kept unpacked, 512 MiB; the
	// last one used is kept even if it is larger.
	keptGroupBytes = 512 << 20
)

// groupCache keeps the row groups last used. Several goroutines may ask; each
// group is read by one of them.
type groupCache struct {
	mu      sync.Mutex
	entries map[int]*groupEntry
	bytes   int64
	clock   int64
}

type groupEntry struct {
	once sync.Once
	rows [][]byte
	size int64
	err  error
	used int64
}

func (c *groupCache) get(g int, read func() ([][]byte, int64, error)) ([][]byte, error) {
	c.mu.Lock()
	if c.entries == nil {
		c.entries = map[int]*groupEntry{}
	}
	e := c.entries[g]
	if e == nil {
		e = &groupEntry{}
		c.entries[g] = e
	}
	c.clock++
	e.used = c.clock
	c.mu.Unlock()
	e.once.Do(func() {
		rows, size, err := read()
		c.mu.Lock()
		defer c.mu.Unlock()
		e.rows, e.size, e.err = rows, size, err
		c.bytes += size
		c.evict(e)
	})
	return e.rows, e.err
}

// evict drops the groups used longest ago, but not keep nor those still read.
func (c *groupCache) evict(keep *groupEntry) {
	for c.bytes > keptGroupBytes {
		oldest := -1
		for g, e := range c.entries {
			if e != keep && e.size > 0 && (oldest < 0 || e.used < c.entries[oldest].used) {
				oldest = g
			}
		}
		if oldest < 0 {
			return
		}
		c.bytes -= c.entries[oldest].size
		delete(c.entries, oldest)
	}
}
