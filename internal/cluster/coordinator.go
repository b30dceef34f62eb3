package cluster

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/nats-io/nats.go"

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
	host
	x    *train.Experiment
	env  runs.Env
	task time.Duration
	wake chan struct{} // there may be something for the coordinator to do

	// Under the lock of the host.
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
	answers   *os.File
	loss      float64
	owed      *train.Back  // where the run is to go back to, and has not yet
	toldAt    time.Time    // when it was last told who takes part
	before    runs.Sharing // counts of processes before this one
	told      string       // the last warning of a checkpoint that workers cannot have
	untold    bool         // sharing.jsonl cannot be written; of the goroutine that trains
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
	c := &Coordinator{x: x, wake: make(chan struct{}, 1), records: map[int][]byte{},
		digests: map[int][sha256.Size]byte{}, workers: map[uint64]*worker{}, banned: map[uint64]string{},
		first: map[uint64]int{}}
	if x.Words() != nil {
		return nil, uierr.New("cluster.nats: a run that learns words asks of texts, which are not shared out",
			"leave --cluster out: its images are embedded once, and a step is short")
	}
	err := c.set(x.Config.Cluster, o)
	if err != nil {
		return nil, err
	}
	if c.task, err = time.ParseDuration(c.c.Task); err != nil {
		return nil, fmt.Errorf("cluster.task: %w", err)
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
