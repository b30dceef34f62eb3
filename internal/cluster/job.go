package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/flops-vit/flops/forward"
)

// key names a task: images first to first+images−1 of a perturbation of the step.
type key struct{ part, first, images int }

// segment is images that nobody has been given yet.
type segment struct{ part, first, images int }

// entry is a task that was given to somebody.
type entry struct {
	key
	issued  map[uint64]time.Time // to whom, 0 for the coordinator itself, and when
	claim   []float32            // what a worker says and the coordinator computes again
	by      uint64               // who answered, where it counts
	checked bool                 // the answer was computed again, or is the coordinator's own
	done    bool
}

// job is the queries of one step, or images of a split that is evaluated: what is not given
// out, what is, and the answers.
type job struct {
	step   int
	number int // of the first part, and
	base   int // of the first image, in messages
	width  int // numbers of an answer: the loss, and the outputs where they are asked for
	asked  []forward.Questions
	counts [][]int   // of each part, queries of each image
	start  [][]int   // of each part, where each image's losses begin
	cost   []float64 // of each part, operations of one query
	queue  []segment
	tasks  map[key]*entry
	again  []*entry // to be given to somebody else
	verify []*entry // answered, and to be computed again here
	left   int      // images of all parts that are not answered

	answer func(ctx context.Context, e *entry, out []float32) error // a task, here
}

// newJob lays a step's questions out by image; ok is false where they are not in the
// order of forward.Planned, so that counts alone do not name them.
func newJob(step int, asked []forward.Questions, batch int, antithetic bool,
	cost func(*forward.Perturbation) int64) (j *job, ok bool) {
	j = &job{step: step, asked: asked, tasks: map[key]*entry{}, width: 1}
	var plan []forward.Query
	for part, a := range asked {
		counts, start := make([]int, batch), make([]int, batch)
		for _, q := range a.Queries {
			counts[q.Image]++
		}
		if plan = forward.Planned(plan, 0, counts, antithetic); !slices.Equal(plan, a.Queries) {
			return nil, false
		}
		if n := len(a.Queries); n > 0 {
			j.width = 1 + len(a.Outputs)/n
		}
		at := 0
		for i, n := range counts {
			start[i] = at
			at += n
		}
		j.counts, j.start = append(j.counts, counts), append(j.start, start)
		j.cost = append(j.cost, float64(max(1, cost(a.Perturbation))))
		j.queue = append(j.queue, segment{part, 0, batch})
		j.left += batch
	}
	// What takes longest goes first: the last tasks are then short.
	slices.SortStableFunc(j.queue, func(a, b segment) int {
		switch x, y := j.cost[a.part], j.cost[b.part]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return j, true
}

// queries are the counts of a task's images, and operations what it takes.
func (j *job) queries(k key) (counts []int, operations float64) {
	counts = j.counts[k.part][k.first : k.first+k.images]
	for _, n := range counts {
		operations += float64(n) * j.cost[k.part]
	}
	return counts, operations
}

// waiting is the operations that nobody has been given.
func (j *job) waiting() (operations float64) {
	for _, s := range j.queue {
		_, n := j.queries(key(s))
		operations += n
	}
	return operations
}

// cut takes about so many operations off the queue, images in all where that is not 0;
// nil where it is empty.
func (j *job) cut(operations float64, images int) *entry {
	if len(j.queue) == 0 {
		return nil
	}
	s := &j.queue[0]
	n, sum := 0, 0.0
	for n < s.images {
		sum += float64(j.counts[s.part][s.first+n]) * j.cost[s.part]
		if n > 0 && (images == 0 && sum > operations || images > 0 && n >= images) {
			break
		}
		n++
	}
	e := &entry{key: key{s.part, s.first, n}, issued: map[uint64]time.Time{}}
	s.first, s.images = s.first+n, s.images-n
	if s.images == 0 {
		j.queue = j.queue[1:]
	}
	j.tasks[e.key] = e
	return e
}

// reissue is a task to be given once more, to somebody who has not got it.
func (j *job) reissue(worker uint64) *entry {
	for i, e := range j.again {
		if e.done {
			continue
		}
		if _, has := e.issued[worker]; !has {
			j.again = slices.Delete(j.again, i, i+1)
			return e
		}
	}
	return nil
}

// put takes the losses of a task, and after them the outputs, as its answer.
func (j *job) put(e *entry, numbers []float32, by uint64, checked bool) {
	n, at, a := len(numbers)/j.width, j.start[e.part][e.first], &j.asked[e.part]
	copy(a.Losses[at:], numbers[:n])
	copy(a.Outputs[at*(j.width-1):], numbers[n:])
	if !e.done {
		e.done = true
		j.left -= e.images
	}
	e.by, e.checked, e.claim = by, checked, nil
}

// discard takes back what a worker has answered and nobody has checked.
func (j *job) discard(worker uint64) {
	for _, e := range j.tasks {
		if e.by == worker && e.done && !e.checked {
			e.done, e.by = false, 0
			j.left += e.images
			j.again = append(j.again, e)
		}
		if e.by == worker && e.claim != nil {
			e.claim = nil // it is computed here, and stands
		}
		delete(e.issued, worker)
	}
}

// complete says whether every answer is there and nothing waits to be checked.
func (j *job) complete() bool { return j.left == 0 && len(j.verify) == 0 }
