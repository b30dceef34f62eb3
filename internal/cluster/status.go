package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/flops-vit/flops/internal/uierr"
)

// runsBucket has a key for every run that is under way.
const runsBucket = "flops_runs"

// expires is when a run that nothing was heard of is no longer in the table.
const expires = 10 * time.Second

// Stats count what a run's cluster did, since its process began.
type Stats struct {
	Steps    int64 `json:"steps"`
	Tasks    int64 `json:"tasks"`    // given to workers
	Copies   int64 `json:"copies"`   // of them, given to a second one
	Queries  int64 `json:"queries"`  // answered by workers
	Own      int64 `json:"own"`      // answered by the coordinator
	Wasted   int64 `json:"wasted"`   // queries answered twice
	Verified int64 `json:"verified"` // results computed again
	Lost     int64 `json:"lost"`     // workers that were not heard of any more
	Joined   int64 `json:"joined"`
	Banned   int64 `json:"banned"`
	Up       int64 `json:"bytes_up"`   // from workers
	Down     int64 `json:"bytes_down"` // to workers
}

// Status is a run as the table has it.
type Status struct {
	Run     string    `json:"run"`
	Whole   bool      `json:"whole_runs,omitempty"` // what is shared out are whole runs, and Step counts them
	Step    int       `json:"step"`
	Of      int       `json:"of"`
	Loss    float64   `json:"loss"`
	Rate    float64   `json:"queries_per_second"`
	Host    string    `json:"host"`
	Since   time.Time `json:"since"`
	Seconds float64   `json:"seconds"` // since then, by the clock of the run's machine
	Stats   Stats     `json:"stats"`
	Members []Member  `json:"workers"`
}

// Status is the run as it is now.
func (c *Coordinator) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Run: c.o.Run, Step: c.taken, Of: c.x.Config.Train.Steps, Host: hostName(), Since: c.since,
		Stats: c.stats, Loss: c.loss, Members: []Member{}}
	if s.Seconds = time.Since(c.since).Seconds(); s.Seconds > 0 {
		s.Rate = float64(c.stats.Queries+c.stats.Own) / s.Seconds
	}
	for _, w := range c.workers {
		if c.alive(w) && w.Member.Step >= 0 {
			s.Members = append(s.Members, w.Member)
		}
	}
	slices.SortFunc(s.Members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// publish writes a run into the table of runs, as long as it lasts.
func (k *connection) publish(run string, stop <-chan struct{}, status func() Status) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-stop; cancel() }()
	var kv jetstream.KeyValue
	for {
		if kv == nil {
			kv, _ = k.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: runsBucket, TTL: expires,
				Storage: jetstream.MemoryStorage, History: 1, Replicas: k.replicas()})
		}
		if kv != nil {
			b, err := json.Marshal(status())
			if err == nil {
				_, err = kv.Put(ctx, run, b)
			}
			if err != nil {
				kv = nil // a server that lost its memory has no such bucket
			}
		}
		select {
		case <-stop:
			if kv != nil {
				last, end := context.WithTimeout(context.Background(), time.Second)
				_ = kv.Delete(last, run) // or it expires
				end()
			}
			return
		case <-time.After(2 * time.Second):
		}
	}
}

// List is every run that is under way, by name.
func List(ctx context.Context, d Dial) ([]Status, error) {
	k, err := d.open(viewer)
	if err != nil {
		return nil, err
	}
	defer k.close()
	return k.list(ctx)
}

func (k *connection) list(ctx context.Context) ([]Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	kv, err := k.js.KeyValue(ctx, runsBucket)
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound):
		return nil, nil
	case err != nil:
		if r := k.refused(); r != nil {
			return nil, r
		}
		return nil, uierr.Wrap(err, fmt.Sprintf("the NATS servers do not answer: %v", err),
			"see that they run with JetStream (nats-server -js), and at this address")
	}
	names, err := kv.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: the table of runs: %w", err)
	}
	slices.Sort(names)
	var all []Status
	for _, n := range names {
		e, err := kv.Get(ctx, n)
		if err != nil {
			continue // it has ended just now
		}
		var s Status
		if json.Unmarshal(e.Value(), &s) == nil && s.Run == n {
			all = append(all, s)
		}
	}
	return all, nil
}
