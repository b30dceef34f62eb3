package cluster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/journal"
	"github.com/flops-vit/flops/internal/journal/steps"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
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
	go w.heartbeat(alive)
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

// find is the run's name, where only one is under way.
func (w *Worker) find(ctx context.Context) error {
	for told := false; w.o.Run == ""; pause(ctx, time.Second) {
		if err := ctx.Err(); err != nil {
			return err
		}
		all, err := w.conn.list(ctx)
		if r := w.conn.refused(); r != nil {
			return r
		}
		switch {
		case err == nil && len(all) == 1:
			w.o.Run = all[0].Run
		case err == nil && len(all) > 1:
			var names []string
			for _, s := range all {
				names = append(names, s.Run)
			}
			return uierr.New(fmt.Sprintf("--run: %d runs are under way: %s", len(all), strings.Join(names, ", ")),
				"name one of them by --run")
		case !told:
			told = true
			w.o.Log("waiting for a run")
		}
	}
	return nil
}

// heartbeat says that this worker is there while it computes.
func (w *Worker) heartbeat(ctx context.Context) {
	for ctx.Err() == nil {
		id := binary.LittleEndian.AppendUint64(nil, w.id)
		_ = w.conn.nc.Publish(subject(w.o.Run, "alive"), seal(id)) // the next one is soon
		pause(ctx, time.Second)
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

// join says hello and stands where the run's checkpoint stands.
func (w *Worker) join(ctx context.Context) error {
	raw, err := w.ask(ctx, "manifest", nil, 3*time.Second)
	if err != nil {
		return err
	}
	var m Manifest
	if len(raw) > maxHello || json.Unmarshal(raw, &m) != nil || m.Protocol != version {
		return uierr.New("the run speaks another protocol", "use the version of flops that trains")
	}
	if m.Whole {
		return w.runs(ctx)
	}
	if m.Config != w.text {
		if err := w.open(ctx, &m); err != nil {
			return err
		}
	}
	env, room := w.x.Describe(""), 1
	if m := w.x.Called(); m != nil {
		room = m.Pool().InFlight()
	}
	body, err := json.Marshal(hello{Protocol: version, ID: w.id, Canary: train.Canary(), Data: env.Data,
		Member: Member{Name: fmt.Sprintf("%s/%d", hostName(), os.Getpid()), Kernel: env.Kernel, Device: env.Device,
			Threads: env.Threads, Room: room}})
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if raw, err = w.ask(ctx, "hello", body, 2*time.Minute); err != nil {
		return err
	}
	var a welcome
	if len(raw) > maxHello || json.Unmarshal(raw, &a) != nil {
		return errAgain
	}
	switch {
	case a.What != "":
		return uierr.New(clean(a.What, 1000), clean(a.Hint, 1000))
	case a.Ended:
		return errDone
	case a.Epoch == 0:
		return errAgain
	}
	c, err := w.conn.fetch(ctx, w.o.Run, a.Object, a.Step, filepath.Join(w.dir, "start"))
	if err != nil {
		w.o.Log(fmt.Sprintf("the run's checkpoint of step %d cannot be had: %v", a.Step, err))
		pause(ctx, 500*time.Millisecond)
		return errAgain
	}
	if err := w.f.Load(c); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	w.epoch, w.pending, w.record, w.sent = a.Epoch, nil, nil, -1
	w.At.Store(int64(w.f.Step()))
	w.o.Log(fmt.Sprintf("joined run %s at step %d", w.o.Run, w.f.Step()))
	return nil
}

// open builds the run's experiment with this machine's data.
func (w *Worker) open(ctx context.Context, m *Manifest) error {
	c, err := received(filepath.Join(w.dir, "config.yaml"), m.Config, w.o.Sets)
	if err != nil {
		return err
	}
	w.o.Local(&c)
	if m.Path && c.Model.Path == "" {
		if c.Model.Path, err = w.start(ctx); err != nil {
			return err
		}
	}
	if w.x != nil {
		w.x.Close()
		w.x, w.text = nil, ""
	}
	if err := config.Validate(&c); err != nil {
		return err
	}
	if w.x, err = w.o.Open(c, w.o.Log); err != nil {
		return err
	}
	w.f, w.text = train.NewFollower(w.x), m.Config
	return nil
}

// start is a folder with the model that the run has now, for a worker that was given
// none.
func (w *Worker) start(ctx context.Context) (string, error) {
	dir := filepath.Join(w.dir, "model")
	for ctx.Err() == nil {
		raw, err := w.ask(ctx, "start", nil, 2*time.Minute)
		if err != nil {
			return "", err
		}
		var a welcome
		if len(raw) <= maxHello && json.Unmarshal(raw, &a) == nil && a.Object != "" {
			if _, err := w.conn.fetch(ctx, w.o.Run, a.Object, a.Step, dir); err == nil {
				return filepath.Join(dir, "checkpoints", fmt.Sprintf("step-%d", a.Step)), nil
			}
		}
		pause(ctx, 500*time.Millisecond)
	}
	return "", ctx.Err()
}

// loop asks for work and does it, until the run stands elsewhere or has ended.
func (w *Worker) loop(ctx context.Context) error {
	for failed := 0; ; {
		r := request{epoch: w.epoch, worker: w.id, step: uint32(w.f.Step()), have: uint32(len(w.record)),
			result: w.pending}
		if s := w.f.Step(); s%digestEvery == 0 && s > 0 && s != w.sent {
			d := [sha256.Size]byte(w.f.Digest())
			r.digest = &d
		}
		raw, err := w.ask(ctx, "work", r.encode(), 2*parkTime)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if uierr.IsMistake(err) {
				return err
			}
			if failed++; failed > 3 { // the coordinator may be another process by now
				return errAgain
			}
			pause(ctx, 100*time.Millisecond)
			continue
		}
		a, err := decodeReply(raw)
		if err != nil {
			return errAgain
		}
		failed = 0
		switch w.pending = nil; a.verdict {
		case known:
			w.Known.Add(1)
		case stale:
			w.Stale.Add(1)
		}
		if r.digest != nil {
			w.sent = w.f.Step()
		}
		if err := w.obey(ctx, a); err != nil {
			return err
		}
	}
}

// obey does what a reply says.
func (w *Worker) obey(ctx context.Context, a *reply) error {
	switch a.kind {
	case again:
		return errAgain
	case done:
		return errDone
	case leave:
		return uierr.New(without+clean(string(a.piece), 500),
			"see why this machine computes otherwise before it takes part again")
	case record:
		return w.take(ctx, a)
	case task:
		return w.answer(ctx, a)
	case asks:
		return w.call(ctx, a)
	}
	return nil
}

// take makes the update of a step that is over.
func (w *Worker) take(ctx context.Context, a *reply) error {
	if int(a.step) != w.f.Step() || int(a.offset) != len(w.record) || a.length > maxRecord {
		return errAgain
	}
	if w.record = append(w.record, a.piece...); len(w.record) < int(a.length) {
		return nil
	}
	rec, err := steps.Decode(journal.Record{Step: a.step, Kind: journal.KindStep, Body: w.record})
	w.record = nil
	if err != nil {
		return errAgain
	}
	if err := w.f.Apply(ctx, rec); err != nil {
		var d *train.Diverged
		if errors.As(err, &d) { // the run finds that, too, and goes back
			pause(ctx, 200*time.Millisecond)
			return errAgain
		}
		return err
	}
	w.At.Store(int64(w.f.Step()))
	if w.f.Measured() { // the model is wanted for that first
		return nil
	}
	// The clean pass of the coming step, while the coordinator makes its own.
	return w.f.Prepare(ctx)
}

// call asks a called model.
func (w *Worker) call(ctx context.Context, a *reply) error {
	if int(a.step) != w.f.Step() || w.x.Called() == nil {
		return errAgain
	}
	began := time.Now()
	logits, err := w.f.Asked(ctx, a.names)
	if err != nil {
		return err
	}
	w.Tasks.Add(1)
	w.Queries.Add(int64(len(a.names)))
	w.pending = &result{step: a.step, part: callPart, first: a.first, images: uint32(len(a.names)),
		micros: uint32(min(time.Since(began).Microseconds(), 1<<31)), losses: logits}
	return nil
}

// maxRecord bounds the record of a step that a worker takes.
const maxRecord = 1 << 28

// answer evaluates a task.
func (w *Worker) answer(ctx context.Context, a *reply) error {
	if int(a.step) != w.f.Step() {
		return errAgain
	}
	counts := make([]int, len(a.counts))
	for i, n := range a.counts {
		if n > 1<<24 {
			return errAgain
		}
		counts[i] = int(n)
	}
	began := time.Now()
	var losses []float32
	var err error
	if split := splitOf(int(a.part)); split != "" {
		losses, err = w.f.Evaluate(ctx, split, int(a.first), len(counts))
	} else {
		losses, err = w.f.Losses(ctx, int(a.part), int(a.first), counts)
	}
	if err != nil {
		return err
	}
	w.Tasks.Add(1)
	for _, n := range counts {
		w.Queries.Add(int64(n))
	}
	w.pending = &result{step: a.step, part: a.part, first: a.first, images: uint32(len(counts)),
		micros: uint32(min(time.Since(began).Microseconds(), 1<<31)), losses: losses}
	return nil
}
