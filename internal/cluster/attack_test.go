package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/train"
)

// TestAttacked: whoever sends garbage, repeats what others have said, or speaks in their
// names, changes nothing of a run.
func TestAttacked(t *testing.T) {
	t.Parallel()
	c := tiny()
	want := alone(t, c)
	p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{}, slowed(300*time.Microsecond))
	nc, err := nats.Connect(p.c.URL())
	testkit.Must(t, err)
	defer nc.Close()
	var mu sync.Mutex
	var heard []*nats.Msg
	_, err = nc.Subscribe("flops.>", func(m *nats.Msg) { // no keys: everybody hears everything
		mu.Lock()
		defer mu.Unlock()
		if len(heard) < 1000 {
			heard = append(heard, m)
		}
	})
	testkit.Must(t, err)
	over := make(chan struct{})
	sent := 0
	var attacker sync.WaitGroup
	attacker.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		names := []string{"manifest", "start", "hello", "work", "alive"}
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
			}
			name := names[r.IntN(len(names))]
			b := make([]byte, r.IntN(200))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			mu.Lock()
			if n := len(heard); n > 0 && r.IntN(2) == 0 { // what was said before, as it was or in parts
				old := heard[r.IntN(n)]
				name, b = old.Subject[strings.LastIndexByte(old.Subject, '.')+1:], bytes.Clone(old.Data)
				if q, err := decodeRequest(unseal(b)); err == nil && r.IntN(2) == 0 {
					if q.result != nil {
						q.result.losses = append(q.result.losses, 1)
						q.result.part = uint16(r.Uint32())
						q.result.first = r.Uint32()
					}
					q.step, q.have = r.Uint32(), r.Uint32()
					b = seal(q.encode())
				}
			} else if r.IntN(2) == 0 {
				b = seal(b)
			}
			mu.Unlock()
			sent++
			if r.IntN(2) == 0 {
				_ = nc.Publish("flops."+p.c.Run()+"."+name, b) // no answer is wanted
			} else {
				_ = nc.PublishRequest("flops."+p.c.Run()+"."+name, nats.NewInbox(), b)
			}
		}
	})
	p.want = 2
	p.join(1, slowed(300*time.Microsecond))
	p.join(1, slowed(300*time.Microsecond))
	p.run()
	close(over)
	attacker.Wait()
	stats := p.c.Status().Stats
	for _, e := range p.end() {
		t.Error(e)
	}
	same(t, p.dir, want, c.Train.Steps)
	t.Logf("%d messages, %+v", sent, stats)
}

// TestManyHellos: those who only say hello are bounded, and take no work from others.
func TestManyHellos(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Train.Steps = 1
	c.Cluster.AckWait = "1m" // nobody is forgotten meanwhile, however slow the machine is
	p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
	p.c.mu.Lock() // the coordinator ticks meanwhile
	p.c.snapshots = []snapshot{{object: "there"}}
	p.c.mu.Unlock()
	refused, canary := 0, train.Canary()
	for id := range uint64(maxWorkers + 10) {
		raw, err := json.Marshal(hello{Protocol: version, ID: id + 1, Canary: canary, Data: p.c.env.Data,
			Member: Member{Name: strings.Repeat("\x1b[31m", 100), Device: p.c.env.Device}})
		testkit.Must(t, err)
		if w := p.c.hello(raw); w.What != "" {
			refused++
		}
	}
	p.c.mu.Lock()
	kept := slices.Collect(maps.Values(p.c.workers))
	clear(p.c.workers)
	p.c.snapshots = nil
	p.c.mu.Unlock()
	if refused != 10 || len(kept) != maxWorkers {
		t.Errorf("%d were refused, %d are kept", refused, len(kept))
	}
	for _, w := range kept {
		if strings.Contains(w.Name, "\x1b") || len(w.Name) > 40 {
			t.Fatalf("a name of %d bytes with escapes", len(w.Name))
		}
	}
	p.run()
	p.end()
}

// nonsense answers with what is no number, now and then.
type nonsense struct {
	forward.Pass
	calls *int
}

func (n nonsense) Losses(ctx context.Context, p *forward.Perturbation, q []forward.Query, out []float32) error {
	err := n.Pass.Losses(ctx, p, q, out)
	if *n.calls++; *n.calls%7 == 0 {
		out[0] = float32(math.NaN())
	}
	return err
}

// TestNonsense: an answer that is no number is always looked at.
func TestNonsense(t *testing.T) {
	t.Parallel()
	c := tiny()
	want := alone(t, c)
	c.Cluster.Work, c.Cluster.Verify = false, 0
	p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{Images: 2})
	calls := 3 // a first answer is looked at anyway
	p.join(1, func(x *train.Experiment) {
		x.Model = query.AnsweredBy(x.Model, func(_ *forward.Batch, p forward.Pass) forward.Evaluator {
			return nonsense{p, &calls}
		})
	})
	p.join(1, nil)
	p.run()
	stats := p.c.Status().Stats
	p.end()
	if stats.Banned != 1 {
		t.Errorf("%d were banned", stats.Banned)
	}
	same(t, p.dir, want, c.Train.Steps)
}

// TestDiskFull: a run that cannot write who answered ends with an error, and goes on from
// there when it can.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	c := tiny()
	want := alone(t, c)
	c.Cluster.Work = false
	dir := filepath.Join(t.TempDir(), "run")
	p := begin(t, c, dir, Options{})
	p.join(1, nil)
	p.want = 1
	_, err := train.Run(context.Background(), p.x, train.RunOptions{Dir: dir, Watch: p.c.Watch(p.watch),
		Taken: p.c.Taken, Each: func(tr *train.Trainer) error {
			if tr.Step == 4 {
				testkit.Must(t, p.c.answers.Close())
			}
			return p.c.Each(tr)
		}})
	if err == nil || !strings.Contains(err.Error(), "who answered") {
		t.Errorf("the run ended with %v", err)
	}
	_ = p.c.Close(false) // the file is closed
	p.stop()
	p.wg.Wait()
	p.x.Close()
	p = begin(t, c, dir, Options{})
	p.join(1, nil)
	p.run()
	for _, e := range p.end() {
		t.Error(e)
	}
	same(t, p.dir, want, c.Train.Steps)
}
