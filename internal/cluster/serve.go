package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
)

// Serve opens the run to workers: it starts the server where it is embedded, or connects.
func (c *Coordinator) Serve() error {
	if err := os.MkdirAll(filepath.Join(c.o.Dir, folder), 0o700); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if err := c.openAnswers(); err != nil {
		return err
	}
	if all := runs.ReadSharing(c.o.Dir); len(all) > 0 {
		c.before = all[len(all)-1]
	}
	return c.open(map[string]func(*nats.Msg){"manifest": c.onManifest, "start": c.onStart, "hello": c.onHello,
		"work": c.onWork, "alive": c.onAlive}, c.Status, c.tick)
}

// attend connects the coordinator of a run, to a server of its own where that is embedded.
func attend(c config.Cluster, dir, run string, warn func(string)) (*connection, error) {
	if c.NATS == Embedded {
		return openServer(c, dir, run, warn)
	}
	d := Dial{URL: c.NATS, Key: c.Key, Creds: c.Creds, CAFile: c.CAFile}
	k, err := d.open("flops train " + run)
	if err != nil {
		return nil, err
	}
	if err := k.await(); err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

// await wants servers outside to be there when a run begins; later they may come and go.
func (k *connection) await() error {
	for range 50 {
		if k.nc.IsConnected() {
			return nil
		}
		if err := k.refused(); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	err := k.nc.LastError()
	return uierr.Wrap(err, "cluster.nats: no server answers at "+strings.Join(k.nc.Servers(), ", "),
		"start the servers, or mend the address")
}

// Run is the run's name among others.
func (c *Coordinator) Run() string { return c.o.Run }

// tick answers requests that have stood open for long, so that nobody waits for one that
// was lost.
func (c *Coordinator) tick() {
	c.reap()
	for _, w := range c.workers {
		if w.parked != nil && time.Since(w.since) >= parkTime {
			c.serve(w, w.result)
		}
	}
}

// Close ends the run for its workers: over says that there is nothing left to do, and
// otherwise they wait for it to go on.
func (c *Coordinator) Close(over bool) error {
	if c.conn == nil {
		return nil
	}
	c.mu.Lock()
	c.ended = over
	for _, w := range c.workers {
		if over {
			c.answer(w, &reply{kind: done})
		} else {
			c.answer(w, &reply{kind: again})
		}
	}
	c.mu.Unlock()
	if over { // those who are computing hear of it when they are done
		lastWord(min(c.ackWait, lastTime), func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.workers) == 0
		})
	}
	close(c.stop)
	c.stopped.Wait()
	_ = c.conn.nc.Flush()
	c.conn.close()
	if err := c.answers.Close(); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// lastTime is the most that the end of a run waits for its workers to hear of it.
const lastTime = 2 * time.Second

// lastWord waits until all have been told, or so long.
func lastWord(most time.Duration, told func() bool) {
	for end := time.Now().Add(most); !told() && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
}

// Name makes the name of a run in subjects, keys and buckets out of its folder.
func Name(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, filepath.Base(dir))
}

// processName tells a process of this machine from others.
func processName() string { return fmt.Sprintf("%s/%d", hostName(), os.Getpid()) }

func hostName() string {
	h, err := os.Hostname()
	if err != nil {
		return "somewhere"
	}
	return clean(h, 30)
}
