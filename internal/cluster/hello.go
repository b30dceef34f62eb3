package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
)

// maxHello bounds what is read of a manifest, a hello and an answer to it.
const maxHello = 1 << 20

// maxWorkers bounds what is kept of those who say hello.
const maxWorkers = 4096

// Manifest is what a worker is told of a run.
type Manifest struct {
	Protocol int    `json:"protocol"`
	Config   string `json:"config"` // the experiment as YAML, without addresses, paths and programs
	Device   string `json:"device"`
	Kernel   string `json:"kernel"`
	Path     bool   `json:"path"`       // the run began with a model folder
	Whole    bool   `json:"whole_runs"` // there are whole runs to be trained, and no queries to be answered
}

// Member is a worker as others see it.
type Member struct {
	Name    string `json:"name"` // host and process
	Kernel  string `json:"kernel"`
	Device  string `json:"device"`
	Threads int    `json:"threads"`
	Step    int    `json:"step"`
	Tasks   int64  `json:"tasks"`   // given
	Queries int64  `json:"queries"` // answered
	Room    int    `json:"room"`    // requests of a called model that it has under way at once

	digest *[32]byte
}

// hello is a worker that wants to take part.
type hello struct {
	Protocol int                      `json:"protocol"`
	ID       uint64                   `json:"id"`
	Canary   string                   `json:"canary"`
	Data     map[string]runs.SplitSum `json:"data"`
	Member
}

// welcome is the answer to it.
type welcome struct {
	What string `json:"what,omitempty"` // why not; empty: accepted
	Hint string `json:"hint,omitempty"`

	Epoch  uint64 `json:"epoch"`
	Object string `json:"object"` // the checkpoint to begin with, in the object store
	Step   int    `json:"step"`   // that it is of
	Ended  bool   `json:"ended"`
}

func subject(run, name string) string { return "flops." + run + "." + name }

func (c *Coordinator) onManifest(m *nats.Msg) {
	text, err := config.Marshal(stripped(c.x.Config))
	if err != nil {
		return
	}
	respondJSON(m, Manifest{Protocol: version, Config: string(text), Device: c.env.Device,
		Kernel: c.env.Kernel, Path: c.x.Config.Model.Path != ""})
}

// onStart says which checkpoint there is, for a worker that has no model of its own.
func (c *Coordinator) onStart(m *nats.Msg) {
	c.mu.Lock()
	w, _ := c.standing()
	c.mu.Unlock()
	respondJSON(m, w)
}

// standing is where a worker begins; ok is false where it is to ask again.
func (c *Coordinator) standing() (w welcome, ok bool) {
	if len(c.snapshots) == 0 {
		return w, false
	}
	s := &c.snapshots[len(c.snapshots)-1]
	if s.object == "" {
		if err := c.offer(s); err != nil {
			if line := fmt.Sprintf("cluster: the checkpoint of step %d cannot be offered: %v", s.step, err); line != c.told {
				c.told = line
				c.warn(line)
			}
			return w, false
		}
	}
	return welcome{Epoch: c.epoch, Object: s.object, Step: s.step}, true
}

func (c *Coordinator) onHello(m *nats.Msg) {
	respondJSON(m, c.hello(m.Data))
}

func (c *Coordinator) hello(raw []byte) welcome {
	var h hello
	if len(raw) > maxHello || json.Unmarshal(raw, &h) != nil || h.ID == 0 {
		return welcome{What: "the hello is none of this protocol", Hint: "give the worker the version of flops that trains"}
	}
	if w, ok := c.refuse(&h); ok {
		return w
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if why, ok := c.banned[h.ID]; ok {
		return welcome{What: without + why, Hint: "see why this machine computes otherwise before it takes part again"}
	}
	if c.ended {
		return welcome{Ended: true}
	}
	if c.workers[h.ID] == nil && len(c.workers) >= maxWorkers {
		return welcome{What: fmt.Sprintf("the run has %d workers already", len(c.workers)), Hint: "let one of them end"}
	}
	start, ok := c.standing()
	if !ok {
		return start
	}
	w := c.workers[h.ID]
	if w == nil {
		w = &worker{id: h.ID}
		c.workers[h.ID] = w
		c.stats.Joined++
	} else {
		c.answer(w, &reply{kind: wait}) // of a request that it has given up
		c.lose(w.id)                    // what it was given, it has forgotten
	}
	w.Member, w.seen = h.cleaned(), time.Now()
	w.Member.Step = -1 // until it asks for work
	return start
}

// cleaned is a member as it may be shown.
func (m Member) cleaned() Member {
	m.Name, m.Kernel, m.Device = clean(m.Name, 40), clean(m.Kernel, 40), clean(m.Device, 40)
	return m
}

// clean is a text of somebody else's, fit for a terminal.
func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), most)]
}

// without begins what a worker that is banned is told.
const without = "the run goes on without this worker: "

const differ = "their results differ in the last digits"

// refuse says why a worker cannot take part, where it cannot.
func (c *Coordinator) refuse(h *hello) (welcome, bool) {
	if h.Room < 0 || h.Room > 1024 {
		h.Room = 1
	}
	if h.Protocol != version {
		return welcome{What: fmt.Sprintf("the worker speaks protocol %d, the run %d", h.Protocol, version),
			Hint: "give the worker the version of flops that trains"}, true
	}
	if w, ok := otherData(&c.env, h.Data); ok {
		return w, true
	}
	mine := train.Canary()
	if c.c.Numerics == "strict" && h.Canary != mine {
		return welcome{What: fmt.Sprintf("the worker computes with %s on %s, the run with %s on %s: %s",
			clean(h.Kernel, 40), clean(h.Device, 40), c.env.Kernel, c.env.Device, differ),
			Hint: matching(c.env.Kernel)}, true
	}
	if a, b := deviceKind(h.Device), deviceKind(c.env.Device); c.c.Numerics == "strict" && a != b {
		return welcome{What: fmt.Sprintf("the worker computes on %s, the run on %s: %s", a, b, differ),
			Hint: "give the worker --set train.device=" + b + ", or the run cluster.numerics: journal"}, true
	}
	return welcome{}, false
}

// otherData refuses a worker that does not see the data of a run.
func otherData(run *runs.Env, theirs map[string]runs.SplitSum) (welcome, bool) {
	d := run.DataChanges(runs.Env{Data: theirs})
	if len(d) == 0 {
		return welcome{}, false
	}
	return welcome{What: "the worker's data is not what the run sees: " + strings.Join(d, "; "),
		Hint: "give --data a copy of the run's data"}, true
}

// matching is the setting that gives a worker the run's arithmetic.
func matching(kernel string) string {
	name, _, _ := strings.Cut(kernel, " ")
	if name == "avx512" {
		name = "avx2" // the same bits
	}
	return "start the worker with FLOPS_KERNEL=" + name +
		", where its processor has that, or the run with cluster.numerics: journal"
}

func deviceKind(s string) string {
	if s, _, _ = strings.Cut(s, " "); s == "" {
		return "cpu"
	}
	s, _, _ = strings.Cut(s, ":")
	return s
}

func (c *Coordinator) onAlive(m *nats.Msg) {
	d := decoder{b: m.Data}
	id := d.u64()
	if d.end() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.workers[id]; w != nil {
		w.seen = time.Now()
	}
}

func (c *Coordinator) onWork(m *nats.Msg) {
	r, err := decodeRequest(m.Data)
	if err != nil || m.Reply == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Up += int64(len(m.Data))
	w := c.workers[r.worker]
	if w == nil || r.epoch != c.epoch {
		k := &reply{kind: again}
		if why, ok := c.banned[r.worker]; ok {
			k.kind, k.piece = leave, []byte(why)
		} else if c.ended {
			k.kind = done
		}
		respond(m, k.encode())
		return
	}
	c.answer(w, &reply{kind: wait}) // a request that it has given up, or that somebody repeats
	w.seen, w.since, w.parked, w.have = time.Now(), time.Now(), m, r.have
	w.Step, w.digest = int(min(r.step, 1<<31-1)), r.digest
	v := nothing
	if r.result != nil {
		v = c.take(w, r.result)
	}
	c.lose(w.id) // it has one task at a time: of another, it has never heard
	c.serve(w, v)
}
