package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"os"
	"sync/atomic"
	"time"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/train"
)

// WorkerOptions are what a worker is told on its own machine. Nothing of it comes from
// the network.
type WorkerOptions struct {
	Dial
	Run   string               // the run's name; empty: the only one there is
	Sets  []string             // keys of the config that are a machine's own, as "key=value" (CheckSets)
	Local func(*config.Config) // puts this machine's paths, threads and device into the run's config
	// Open builds the experiment; nil: train.Open.
	Open func(config.Config, func(string)) (*train.Experiment, error)
	// Train trains an experiment's file into a folder, and says what memory it took, MiB; nil:
	// whole runs are not taken.
	Train func(ctx context.Context, config, folder string) (peakMiB float64, err error)
	Log   func(string) // a line for whoever watches
}

// Worker answers queries of a run that trains elsewhere.
type Worker struct {
	o       WorkerOptions
	conn    *connection
	id      uint64
	dir     string // of what is fetched
	text    string // the config that x was opened by
	x       *train.Experiment
	f       *train.Follower
	epoch   uint64
	pending *result
	record  []byte // what is there of the record that comes in pieces
	sent    int    // step of the last digest that was sent

	Tasks, Queries, Known, Stale atomic.Int64 // counted for whoever asks
	At                           atomic.Int64 // step
}

// errAgain has a worker say hello once more.
var errAgain = errors.New("cluster: the run stands elsewhere")

// errDone ends a worker.
var errDone = errors.New("cluster: the run has ended")

// NewWorker makes a worker.
func NewWorker(o WorkerOptions) (*Worker, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).SetUint64(1<<63-1))
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if o.Open == nil {
		o.Open = train.Open
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	dir, err := os.MkdirTemp("", "flops-worker-")
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return &Worker{o: o, id: n.Uint64() + 1, dir: dir}, nil
}

// Close frees what the worker holds.
func (w *Worker) Close() {
	if w.x != nil {
		w.x.Close()
	}
	if w.conn != nil {
		w.conn.close()
	}
	_ = os.RemoveAll(w.dir) // a temporary folder
}

// Work takes part until the run has ended, the context is cancelled, or the run will not
// have this worker.
func (w *Worker) Work(ctx context.Context) (err error) {
	if w.conn, err = w.o.open("flops worker"); err != nil {
		return err
	}
	if err := w.find(ctx); err != nil {
		return err
	}
	alive, stop := context.WithCancel(ctx)
	defer stop()
	go w.beat(alive)
	for {
		err := w.join(ctx)
		if err == nil {
			err = w.loop(ctx)
		}
		switch {
		case errors.Is(err, errDone):
			w.o.Log("the run has ended")
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errAgain):
			pause(ctx, 100*time.Millisecond)
		case err != nil:
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// heartbeat is how often a worker says that it is there; cluster.ack_wait is many of them.
const heartbeat = 250 * time.Millisecond

// beat says that this worker is there while it computes.
func (w *Worker) beat(ctx context.Context) {
	for ctx.Err() == nil {
		id := binary.LittleEndian.AppendUint64(nil, w.id)
		_ = w.conn.nc.Publish(subject(w.o.Run, "alive"), seal(id)) // the next one is soon
		pause(ctx, heartbeat)
	}
}

// ask requests until somebody answers.
func (w *Worker) ask(ctx context.Context, name string, body []byte, wait time.Duration) ([]byte, error) {
	for told := false; ; {
		b, err := w.conn.request(ctx, subject(w.o.Run, name), body, wait)
		if err == nil {
			return b, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if r := w.conn.refused(); r != nil {
			return nil, r
		}
		if name == "work" {
			return nil, err
		}
		if !told {
			told = true
			w.o.Log("waiting for run " + w.o.Run)
		}
		pause(ctx, 200*time.Millisecond)
	}
}
