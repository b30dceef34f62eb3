package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/journal/steps"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
)

const (
	parkTime    = 2 * time.Second        // a worker that there is nothing for is answered after it
	tickTime    = 100 * time.Millisecond // how often what has no other occasion is looked at
	aloneTime   = 3 * time.Second        // after it a run that answers nothing itself says that nobody is there
	digestEvery = 50                     // steps after which a worker's weights are compared
	maxPiece    = 512 << 10              // bytes of a record in one message
	recent      = 256                    // durations of tasks that the 95th percentile is of
)

// Options are what a coordinator is told beside the run's config.
type Options struct {
	Dir    string       // the run folder
	Run    string       // the run's name in subjects
	Warn   func(string) // a line for whoever watches
	Images int          // images of a task; 0: by the time that it takes
	Seed   uint64       // of the choice of what is computed again; 0: by the clock
}

// Coordinator is a run that others take part in.
type Coordinator struct {
	x    *train.Experiment
	c    config.Cluster
	o    Options
	env  runs.Env
	conn *connection

	task    time.Duration
	ackWait time.Duration

	mu        sync.Mutex
	wake      chan struct{} // there may be something for the coordinator to do
	epoch     uint64
	taken     int            // records of steps before it are known
	records   map[int][]byte // of the steps since the oldest snapshot that is kept
	digests   map[int][sha256.Size]byte
	snapshots []snapshot // newest last
	job       *job
	calls     calls
	outputs   int // of the network for an image; 0: its evaluations are its own
	workers   map[uint64]*worker
	banned    map[uint64]string
	first     map[uint64]int // first step in which an answer of a worker was not checked
	durations []float64      // seconds of recent tasks
	own       speed
	rand      *rand.Rand
	stats     Stats
	answers   *os.File
	since     time.Time
	loss      float64
	ended     bool
	toldAt    time.Time    // when it was last told who takes part
	before    runs.Sharing // counts of processes before this one
	told      string       // the last warning of a checkpoint that workers cannot have
	stop      chan struct{}
	stopped   sync.WaitGroup
}

// speed is a moving average of operations a second.
type speed float64

func (s *speed) seen(operations, seconds float64) {
	if v := operations / max(seconds, 1e-6); *s == 0 {
		*s = speed(v)
	} else {
		*s = speed(0.7*float64(*s) + 0.3*v)
	}
}

// worker is one as the coordinator knows it.
type worker struct {
	Member
	id     uint64
	seen   time.Time
	speed  speed
	parked *nats.Msg
	since  time.Time
	have   uint32
	result verdict // of the parked request
	passed bool    // one of its answers was computed again and is right
}

// New makes a run's experiment ready to be shared: from here on its queries are answered
// by whoever is there. Serve opens it to others.
func New(x *train.Experiment, o Options) (*Coordinator, error) {
	c := &Coordinator{x: x, c: x.Config.Cluster, o: o, wake: make(chan struct{}, 1), records: map[int][]byte{},
		digests: map[int][sha256.Size]byte{}, workers: map[uint64]*worker{}, banned: map[uint64]string{},
		first: map[uint64]int{}, stop: make(chan struct{})}
	if x.Words() != nil {
		return nil, uierr.New("cluster.nats: a run that learns words asks of texts, which are not shared out",
			"leave --cluster out: its images are embedded once, and a step is short")
	}
	var err error
	if c.task, err = time.ParseDuration(c.c.Task); err != nil {
		return nil, fmt.Errorf("cluster.task: %w", err)
	}
	if c.ackWait, err = time.ParseDuration(c.c.AckWait); err != nil {
		return nil, fmt.Errorf("cluster.ack_wait: %w", err)
	}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	c.rand = rand.New(rand.NewPCG(o.Seed, 1))
	c.env = x.Describe("")
	if m := x.Called(); m != nil {
		c.calls.most = m.Pool().InFlight()
		m.Pool().Share(c)
	} else {
		x.Model = c.share(x.Model)
		if x.Config.Objective.Kind != "contrastive" { // whose images are measured together
			c.outputs = len(x.TrainData.Classes())
		}
	}
	return c, nil
}

// poke has the coordinator look for something to do.
func (c *Coordinator) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Begins is told that the run stands at a step; what was told of later ones is void.
func (c *Coordinator) Begins(step int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch = max(c.epoch+1, uint64(time.Now().UnixNano()))
	c.taken, c.job = step, nil
	for s := range c.records {
		if s >= step {
			delete(c.records, s)
		}
	}
	clear(c.digests)
	for len(c.snapshots) > 0 && c.snapshots[len(c.snapshots)-1].step > step {
		c.snapshots = c.snapshots[:len(c.snapshots)-1]
	}
	if n := len(c.snapshots); n == 0 || c.snapshots[n-1].step != step {
		c.keepSnapshot(step)
	}
	for _, w := range c.workers {
		c.answer(w, &reply{kind: again})
	}
}

// Saved is told that a checkpoint of a step is on the disk.
func (c *Coordinator) Saved(step int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepSnapshot(step)
}

// keepSnapshot offers a checkpoint to those who join, and forgets what is not needed
// behind the one before it.
func (c *Coordinator) keepSnapshot(step int) {
	if n := len(c.snapshots); n > 0 && c.snapshots[n-1].step == step {
		c.snapshots[n-1].object = "" // it was written anew
		return
	}
	c.snapshots = append(c.snapshots, snapshot{step: step})
	if n := len(c.snapshots); n > 2 {
		c.snapshots = c.snapshots[n-2:]
	}
	for s := range c.records {
		if s < c.snapshots[0].step {
			delete(c.records, s)
		}
	}
}

// Taken is told of a step's record once it is on the disk, and tells the workers.
func (c *Coordinator) Taken(rec *steps.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.note(int(rec.Step)); err != nil {
		return err
	}
	raw := rec.Encode().Body
	c.records[int(rec.Step)] = raw
	c.taken, c.job = int(rec.Step)+1, nil
	c.stats.Steps++
	for _, w := range c.workers {
		if w.parked != nil {
			c.serve(w, w.result)
		}
	}
	return nil
}

// note writes who answered what in a step, so that it is known after a restart whose
// steps are not to be trusted.
func (c *Coordinator) note(step int) error {
	if c.job == nil || c.answers == nil {
		return nil
	}
	by := map[string]int{}
	for _, e := range c.job.tasks {
		if e.by != 0 && !e.checked {
			by[fmt.Sprint(e.by)] += e.images
			if s, ok := c.first[e.by]; !ok || step < s {
				c.first[e.by] = step
			}
		}
	}
	if len(by) == 0 {
		return nil
	}
	line, err := json.Marshal(map[string]any{"step": step, "by": by})
	if err == nil {
		_, err = c.answers.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("cluster: who answered step %d: %w", step, err)
	}
	return nil
}

// openAnswers reads who answered what before, and goes on writing it.
func (c *Coordinator) openAnswers() error {
	path := filepath.Join(c.o.Dir, folder, "answers.jsonl")
	raw, err := os.ReadFile(path)
	if err == nil {
		for line := range bytes.Lines(raw) {
			var was struct {
				Step int            `json:"step"`
				By   map[string]int `json:"by"`
			}
			if json.Unmarshal(line, &was) != nil {
				continue // cut short by a kill
			}
			for name := range was.By {
				var id uint64
				if _, err := fmt.Sscan(name, &id); err == nil {
					if s, ok := c.first[id]; !ok || was.Step < s {
						c.first[id] = was.Step
					}
				}
			}
		}
	}
	c.answers, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// Each is told of every step after its update.
func (c *Coordinator) Each(t *train.Trainer) error {
	if t.Step%digestEvery != 0 {
		return nil
	}
	d := t.Digest()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.digests[t.Step] = d
	return nil
}

// serve answers a request that stands open: with a record, a task, or not yet.
func (c *Coordinator) serve(w *worker, v verdict) {
	r := &reply{verdict: v}
	switch at := w.Step; {
	case c.ended:
		r.kind = done
	case at > c.taken:
		r.kind = again
	case at < c.taken:
		raw, ok := c.records[at]
		if !ok {
			r.kind = again
			break
		}
		off := min(int(w.have), len(raw))
		r.kind, r.step, r.length, r.offset = record, uint32(at), uint32(len(raw)), uint32(off)
		r.piece = raw[off:min(len(raw), off+maxPiece)]
	default:
		if d, ok := c.digests[at]; ok && w.digest != nil && *w.digest != d && c.c.Numerics == "strict" {
			r.kind, r.piece = leave, fmt.Appendf(nil, "its weights after step %d are not the run's", at)
			c.drop(w)
			break
		}
		if number, g := c.nextCalls(w); g != nil {
			r.kind, r.step, r.first = asks, uint32(at), number
			for _, k := range g.calls {
				r.names = append(r.names, k.names...)
			}
			c.stats.Tasks++
			w.Tasks++
			break
		}
		e := c.next(w)
		if e == nil {
			r.kind = wait
			if time.Since(w.since) < parkTime {
				w.result = v
				return // stays parked
			}
			break
		}
		r.kind, r.step, r.part, r.first = task, uint32(at), uint16(c.job.number+e.part), uint32(c.job.base+e.first)
		counts, _ := c.job.queries(e.key)
		for _, n := range counts {
			r.counts = append(r.counts, uint32(n))
		}
		e.issued[w.id] = time.Now()
		c.stats.Tasks++
		if len(e.issued) > 1 {
			c.stats.Copies++
		}
		w.Tasks++
	}
	c.answer(w, r)
}

// answer sends a reply to the request that stands open, if one does.
func (c *Coordinator) answer(w *worker, r *reply) {
	if w.parked == nil {
		return
	}
	b := r.encode()
	c.stats.Down += int64(len(b))
	respond(w.parked, b)
	w.parked = nil
}

// next is a task for a worker, nil where there is none, or none that it would answer in
// time.
func (c *Coordinator) next(w *worker) *entry {
	j := c.job
	if j == nil || w.Step != j.step {
		return nil
	}
	if e := j.reissue(w.id); e != nil {
		return e
	}
	if len(j.queue) == 0 || c.tooSlow(w) {
		return nil
	}
	return j.cut(c.share1(w.speed), c.o.Images)
}

// share1 is the operations of a task for a speed: what takes cluster.task, but no more
// than leaves everybody something to do.
func (c *Coordinator) share1(s speed) float64 {
	if s == 0 {
		return 0 // one image, to see how fast it is
	}
	all := float64(c.participants())
	return min(float64(s)*c.task.Seconds(), c.job.waiting()/(2*all))
}

// participants is how many answer queries.
func (c *Coordinator) participants() int {
	n := 1
	for _, w := range c.workers {
		if c.alive(w) {
			n++
		}
	}
	return n
}

func (c *Coordinator) alive(w *worker) bool { return time.Since(w.seen) < c.ackWait }

// tooSlow says that a worker would still be at its task when the others have done
// everything else.
func (c *Coordinator) tooSlow(w *worker) bool {
	rest := 0.0
	if c.c.Work {
		rest = float64(c.own)
	}
	for _, o := range c.workers {
		if o != w && c.alive(o) {
			rest += float64(o.speed)
		}
	}
	if w.speed == 0 || rest == 0 {
		return false
	}
	s := c.job.queue[0]
	_, least := c.job.queries(key{s.part, s.first, 1})
	return least/float64(w.speed) > 2*c.job.waiting()/rest+c.task.Seconds()
}

// take judges a result.
func (c *Coordinator) take(w *worker, x *result) verdict {
	if x.part == callPart {
		return c.takeCalls(w, x)
	}
	j := c.job
	if j == nil || int(x.step) != j.step {
		return stale
	}
	e := j.tasks[key{int(x.part) - j.number, int(x.first) - j.base, int(x.images)}]
	if e == nil {
		return stale
	}
	counts, operations := j.queries(e.key)
	n := 0
	for _, q := range counts {
		n += q
	}
	at, mine := e.issued[w.id]
	if !mine || n*j.width != len(x.losses) {
		return stale
	}
	w.speed.seen(operations, float64(x.micros)/1e6)
	w.Queries += int64(n)
	if e.done || e.claim != nil {
		c.stats.Wasted += int64(n)
		return known
	}
	c.timed(time.Since(at))
	c.stats.Queries += int64(n)
	if !w.passed || c.rand.Float64() < c.c.Verify || !finite(x.losses) {
		e.claim, e.by = x.losses, w.id
		j.verify = append(j.verify, e)
		c.stats.Verified++
	} else {
		j.put(e, x.losses, w.id, false)
	}
	c.poke()
	return accepted
}

// finite says that all are numbers.
func finite(v []float32) bool {
	for _, x := range v {
		if x-x != 0 { // NaN for both
			return false
		}
	}
	return true
}

// timed notes how long a task took.
func (c *Coordinator) timed(d time.Duration) {
	if len(c.durations) == recent {
		c.durations = c.durations[1:]
	}
	c.durations = append(c.durations, d.Seconds())
}

// agree says whether a worker's losses are those that were computed here.
func (c *Coordinator) agree(a, b []float32) bool {
	for i, v := range a {
		if math.Float32bits(v) == math.Float32bits(b[i]) {
			continue
		}
		// Other arithmetic differs in the last digits, by which queries differ too.
		if c.c.Numerics == "strict" || !(math.Abs(float64(v-b[i])) <= 1e-3*(1+math.Abs(float64(b[i])))) {
			return false
		}
	}
	return true
}

// ban ends a worker whose answer is wrong. What it said in this step counts no more; the
// error, if any, has the run go back to before what it said in others.
func (c *Coordinator) ban(id uint64, step int) error {
	const why = "an answer of it is wrong"
	name := fmt.Sprint(id)
	if w := c.workers[id]; w != nil {
		name = w.Name
		c.answer(w, &reply{kind: leave, piece: []byte(why)})
		c.drop(w)
	}
	c.banned[id] = why
	c.stats.Banned++
	c.loseCalls(id)
	c.job.discard(id)
	line := fmt.Sprintf("cluster: worker %s answered wrongly in step %d and is banned", name, step)
	if from, ok := c.first[id]; ok && from < step {
		delete(c.first, id)
		return &train.Back{From: from, Why: line}
	}
	delete(c.first, id)
	c.warn(line)
	return nil
}

// drop forgets a worker.
func (c *Coordinator) drop(w *worker) {
	delete(c.workers, w.id)
	c.lose(w.id)
}

// lose has the tasks of a worker given to others.
func (c *Coordinator) lose(id uint64) {
	c.loseCalls(id)
	if c.job == nil {
		return
	}
	for _, e := range c.job.tasks {
		if _, has := e.issued[id]; has && !e.done && e.claim == nil {
			delete(e.issued, id)
			if len(e.issued) == 0 {
				c.job.again = append(c.job.again, e)
			}
		}
	}
	c.poke()
}

func (c *Coordinator) warn(line string) {
	if c.o.Warn != nil {
		c.o.Warn(line)
	}
}
