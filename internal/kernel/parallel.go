package kernel

import (
	"sync"
	"sync/atomic"
)

// Parallel calls f(worker, i) for every i in [0, n), on at most workers
// goroutines, and returns when all calls have. Each item goes to whichever
// worker is free next; worker numbers run from 0 (the calling goroutine) to
// workers-1, and no two calls with the same number overlap, so that workspace
// may be kept by worker. Calls may nest. The goroutines are kept for the next
// call; a call allocates nothing in the steady state.
func Parallel(workers, n int, f func(worker, i int)) {
	workers = min(workers, n)
	if workers <= 1 {
		for i := range n {
			f(0, i)
		}
		return
	}
	j := jobs.Get().(*job)
	j.f, j.n = f, int64(n)
	j.next.Store(0)
	j.wg.Add(workers - 1)
	for w := 1; w < workers; w++ {
		idleHelper() <- task{j, w}
	}
	j.work(0)
	j.wg.Wait()
	j.f = nil
	jobs.Put(j)
}

// job is one call of Parallel.
type job struct {
	f    func(worker, i int)
	n    int64
	next atomic.Int64
	wg   sync.WaitGroup
}

type task struct {
	*job
	worker int
}

var jobs = sync.Pool{New: func() any { return new(job) }}

func (j *job) work(worker int) {
	for i := j.next.Add(1) - 1; i < j.n; i = j.next.Add(1) - 1 {
		j.f(worker, int(i))
	}
}

// helpers are the goroutines that wait for work, by their mailboxes.
var helpers struct {
	sync.Mutex
	idle []chan task
}

// idleHelper takes a waiting goroutine, or starts one: nested calls must never
// wait for helpers that wait for them.
func idleHelper() chan<- task {
	helpers.Lock()
	defer helpers.Unlock()
	if n := len(helpers.idle); n > 0 {
		c := helpers.idle[n-1]
		helpers.idle = helpers.idle[:n-1]
		return c
	}
	c := make(chan task, 1)
	go func() {
		for t := range c {
			t.work(t.worker)
			helpers.Lock()
			helpers.idle = append(helpers.idle, c)
			helpers.Unlock()
			t.wg.Done()
		}
	}()
	return c
}
