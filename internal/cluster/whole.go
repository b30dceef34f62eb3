package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/prometheus"
	"github.com/flops-vit/flops/internal/runs"
)

// Where whole runs are shared out (flops compare), a worker takes the experiment of one,
// trains it with its own data, and sends the run folder. Three requests do that, beside
// manifest and alive:
//
//	flops.NAME.take   a run, or wait, or done
//	flops.NAME.begin  what the worker sees of data and model; accepted, or why not
//	flops.NAME.piece  bytes of the folder, one piece after another

// Runs are whole runs that are still to be trained.
type Runs interface {
	Take() (n int, name string, c config.Config, ok bool) // one for another machine
	Back(n int)                                           // it was taken in vain
	Name(n int) string
	Wanted(n int) bool
	Env(n int) (runs.Env, error) // what it is to see
	// Trained takes a run folder; why says that it is none.
	Trained(n int, folder string, peakMiB float64) (why string, err error)
	Fail(err error)
	Counts() (done, of int)
}

// Whole offers whole runs to workers.
type Whole struct {
	host
	q       Runs
	workers map[uint64]*taker // under the lock of the host
}

// taker is a worker that trains a run.
type taker struct {
	Member
	seen time.Time
	run  int      // that it trains; −1: none
	file *os.File // what has come of its folder
	at   int64
}

// take is the request for a run.
type take struct {
	ID     uint64 `json:"id"`
	Canary string `json:"canary"`
	Member
}

// OpenWhole offers runs; Close ends that.
func OpenWhole(c config.Cluster, q Runs, o Options) (*Whole, error) {
	w := &Whole{q: q, workers: map[uint64]*taker{}}
	if err := w.set(c, o); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, folder), 0o700); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if err := w.open(map[string]func(*nats.Msg){"manifest": w.onManifest, "take": w.onTake, "begin": w.onBegin,
		"piece": w.onPiece, "alive": w.onAlive}, w.Status, w.tick); err != nil {
		return nil, err
	}
	return w, nil
}

// Close tells the workers that nothing is left to do.
func (w *Whole) Close() error {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	lastWord(min(w.ackWait, lastTime), func() bool { // they ask every half second
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.workers) == 0
	})
	close(w.stop)
	w.stopped.Wait()
	w.conn.close()
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	for _, t := range w.workers {
		err = errors.Join(err, w.forget(t))
	}
	return err
}

// Status is what the table of runs says.
func (w *Whole) Status() Status {
	done, of := w.q.Counts()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Status{Run: w.o.Run, Whole: true, Step: done, Of: of, Host: hostName(), Since: w.since, Stats: w.stats,
		Seconds: time.Since(w.since).Seconds(), Members: []Member{}}
	for _, t := range w.workers {
		s.Members = append(s.Members, t.Member)
	}
	slices.SortFunc(s.Members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// WriteMetrics writes the counts in Prometheus' format.
func (w *Whole) WriteMetrics(out io.Writer) {
	s := w.Status()
	prometheus.Write(out, map[string]float64{
		"flops_runs_done": float64(s.Step), "flops_runs_total": float64(s.Of), "flops_workers": float64(len(s.Members)),
		"flops_tasks_total": float64(s.Stats.Tasks), "flops_task_copies_total": float64(s.Stats.Copies),
		"flops_workers_lost_total":      float64(s.Stats.Lost),
		"flops_bytes_total{way=\"up\"}": float64(s.Stats.Up), "flops_bytes_total{way=\"down\"}": float64(s.Stats.Down),
	})
}

// tick gives runs back whose worker is gone.
func (w *Whole) tick() {
	for id, t := range w.workers {
		if time.Since(t.seen) > w.ackWait {
			w.stats.Lost++
			_ = w.forget(t) // what has come of its folder is of no use
			delete(w.workers, id)
		}
	}
}

// forget gives the run of a worker back.
func (w *Whole) forget(t *taker) error {
	var err error
	if t.file != nil {
		err = errors.Join(t.file.Close(), os.Remove(t.file.Name()))
		t.file = nil
	}
	if t.run >= 0 {
		w.q.Back(t.run)
		t.run = -1
	}
	return err
}

func (w *Whole) onManifest(m *nats.Msg) { respondJSON(m, Manifest{Protocol: version, Whole: true}) }

func (w *Whole) onAlive(m *nats.Msg) {
	d := decoder{b: m.Data}
	id := d.u64()
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.workers[id]; t != nil && d.end() == nil {
		t.seen = time.Now()
	}
}

// known is the worker of a request, which is new where it trains what a process before this
// one has given it.
func (w *Whole) known(id uint64, m Member) *taker {
	t := w.workers[id]
	if t == nil && len(w.workers) < maxWorkers {
		t = &taker{Member: m.cleaned(), run: -1}
		w.workers[id] = t
		w.stats.Joined++
	}
	if t != nil {
		t.seen = time.Now()
	}
	return t
}

// take adds a piece to what there is of a folder; the last one makes it a run's.
func (w *Whole) take(t *taker, r *piece) (got, error) {
	var err error
	if t.file == nil {
		if t.file, err = os.CreateTemp(filepath.Join(w.o.Dir, folder), "run-*.tar"); err != nil {
			return got{}, err
		}
		t.at = 0
	}
	if r.At != t.at {
		return got{At: t.at}, nil
	}
	if _, err = t.file.Write(r.Bytes); err != nil {
		return got{}, err
	}
	if t.at += int64(len(r.Bytes)); !r.Last {
		return got{At: t.at}, nil
	}
	dir, err := os.MkdirTemp(filepath.Join(w.o.Dir, folder), "run-")
	if err != nil {
		return got{}, err
	}
	if _, err = t.file.Seek(0, io.SeekStart); err != nil {
		return got{}, err
	}
	why := ""
	if bad := unpackTree(t.file, dir); bad != nil {
		why, err = bad.Error(), os.RemoveAll(dir)
	} else if err = os.Chmod(dir, 0o755); err == nil {
		why, err = w.q.Trained(t.run, dir, r.PeakMiB)
	}
	if why != "" {
		w.warn(fmt.Sprintf("cluster: worker %s sent no run folder of %s: %s", t.Name, r.Name, clean(why, 200)))
	} else if err == nil {
		t.run = -1
	}
	return got{Over: true}, errors.Join(err, w.forget(t))
}
