package cluster

import (
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/flops-vit/flops/internal/config"
)

// host is what a Coordinator, which offers queries to workers, and a Whole, which offers
// whole runs, have in common.
type host struct {
	c       config.Cluster
	o       Options
	conn    *connection
	ackWait time.Duration

	mu      sync.Mutex
	stats   Stats
	since   time.Time
	ended   bool
	stop    chan struct{}
	stopped sync.WaitGroup
}

// set takes what a host is told.
func (h *host) set(c config.Cluster, o Options) (err error) {
	h.c, h.o, h.stop = c, o, make(chan struct{})
	if h.ackWait, err = time.ParseDuration(c.AckWait); err != nil {
		return fmt.Errorf("cluster.ack_wait: %w", err)
	}
	return nil
}

// open answers workers by the names of what they ask, tells the table of runs how it goes,
// and calls tick now and then, with the lock.
func (h *host) open(answers map[string]func(*nats.Msg), status func() Status, tick func()) (err error) {
	if h.conn, err = attend(h.c, h.o.Dir, h.o.Run, h.o.Warn); err != nil {
		return err
	}
	for name, f := range answers {
		if _, err := h.conn.hear(subject(h.o.Run, name), f); err != nil {
			h.conn.close()
			return fmt.Errorf("cluster: %w", err)
		}
	}
	h.since = time.Now()
	h.stopped.Add(2)
	go func() {
		defer h.stopped.Done()
		h.conn.publish(h.o.Run, h.stop, status)
	}()
	go h.ticking(tick)
	return nil
}

func (h *host) ticking(tick func()) {
	defer h.stopped.Done()
	t := time.NewTicker(tickTime)
	defer t.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-t.C:
		}
		h.mu.Lock()
		tick()
		h.mu.Unlock()
	}
}

// URL is where workers find what is offered.
func (h *host) URL() string {
	if h.conn.url != "" {
		return h.conn.url
	}
	return h.c.NATS
}

// KeyFile is the file with the key that a worker needs, empty where it needs none.
func (h *host) KeyFile() string {
	if !h.conn.keyed {
		return ""
	}
	return filepath.Join(h.o.Dir, folder, workerKey)
}

func (h *host) warn(line string) {
	if h.o.Warn != nil {
		h.o.Warn(line)
	}
}
