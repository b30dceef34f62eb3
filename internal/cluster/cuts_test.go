package cluster

import (
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/testkit"
)

// link is a way to a server that can fail.
type link struct {
	l       net.Listener
	to      string
	mu      sync.Mutex
	conns   map[net.Conn]bool
	cut     bool          // nobody comes through
	stalled chan struct{} // not nil: what is under way waits for its end
	damage  bool          // a bit of what goes through is turned, now and then
}

// newLink leads to an address.
func newLink(t *testing.T, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	k := &link{l: l, to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); k.fail(func() { k.cut = true }) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			k.lead(c)
		}
	}()
	return k
}

func (k *link) url() string { return "nats://" + k.l.Addr().String() }

// lead connects one who comes.
func (k *link) lead(c net.Conn) {
	on, err := net.Dial("tcp", k.to)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil || k.cut {
		c.Close()
		return
	}
	k.conns[c], k.conns[on] = true, true
	go k.copy(on, c)
	go k.copy(c, on)
}

func (k *link) copy(to, from net.Conn) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		k.mu.Lock()
		wait, damage := k.stalled, k.damage
		k.mu.Unlock()
		if wait != nil {
			<-wait
		}
		if damage && n > 0 && rand.IntN(8) == 0 {
			b[rand.IntN(n)] ^= 1 << rand.IntN(8)
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// fail changes how the link is, and ends what is under way where it is cut.
func (k *link) fail(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
	if k.cut {
		for c := range k.conns {
			c.Close()
		}
		clear(k.conns)
	}
}

// trouble has a link fail in one of three ways for a while, every so often, until end.
func (k *link) trouble(end <-chan struct{}, every, most time.Duration, count func(way string)) {
	for i := 0; ; i++ {
		select {
		case <-end:
			return
		case <-time.After(every):
		}
		wait := make(chan struct{})
		way := []string{"cut", "stalled", "damaged"}[i%3]
		count(way)
		k.fail(func() {
			switch way {
			case "cut":
				k.cut = true
			case "stalled":
				k.stalled = wait
			default:
				k.damage = true
			}
		})
		time.Sleep(time.Duration(rand.Int64N(int64(most))))
		k.fail(func() { k.cut, k.stalled, k.damage = false, nil, false })
		close(wait)
	}
}

// TestCuts: workers behind links that are cut, stall and damage what they carry give the
// run's files. FLOPS_TEST_FULL=1 cuts for 0 to 4 s every 3 s, and looks at the time.
func TestCuts(t *testing.T) {
	c := tiny()
	c.Train.Steps, c.Train.EvalEvery, c.Cluster.AckWait = 12, 0, "500ms"
	every, most, each := 150*time.Millisecond, 200*time.Millisecond, 500*time.Microsecond
	full := os.Getenv("FLOPS_TEST_FULL") != ""
	if full {
		every, most, each = 3*time.Second, 4*time.Second, 25*time.Millisecond
		c.Train.Steps, c.Cluster.AckWait = 10, "5s"
	} else {
		t.Parallel()
	}
	want := alone(t, c)
	took := func(troubled bool) time.Duration {
		p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{}, slowed(each))
		over := make(chan struct{})
		var wg sync.WaitGroup
		var mu sync.Mutex
		ways := map[string]int{}
		for range 2 {
			k := newLink(t, p.c.URL()[len("nats://"):])
			p.dial.URL = k.url()
			p.join(1, slowed(each))
			if troubled {
				wg.Go(func() {
					k.trouble(over, every, most, func(way string) { mu.Lock(); ways[way]++; mu.Unlock() })
				})
			}
		}
		p.want = 2
		p.run()
		d := time.Since(p.first)
		close(over)
		wg.Wait()
		stats := p.c.Status().Stats
		p.stop() // one that was cut off when the run ended would wait for it to go on
		p.end()
		same(t, p.dir, want, c.Train.Steps)
		t.Logf("%v with %v, %+v", d, ways, stats)
		return d
	}
	if !full {
		took(true)
		return
	}
	usual, troubled := took(false), took(true)
	t.Logf("%v without trouble, %v with it, %.2f times", usual, troubled, troubled.Seconds()/usual.Seconds())
	if troubled.Seconds() > 1.5*usual.Seconds() {
		t.Error("that is more than 1.5 times")
	}
}
