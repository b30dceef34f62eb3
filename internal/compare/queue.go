package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
)

// Queue is the runs of a comparison that are still to be trained, of which this process
// takes one after another, and others may take some.
type Queue struct {
	p       *Plan
	runs    []Run
	tell    Progress
	mu      sync.Mutex
	waiting []int            // runs that nobody has taken, in their order
	results []*Result        // by run
	left    int              // runs without a result
	failed  error            // what ends the comparison
	change  chan struct{}    // closed at the next change
	here    bool             // this process trains, too
	looking sync.Mutex       // at envs, which takes as long as reading the data does
	envs    map[int]runs.Env // by arm
}

// newQueue looks what is missing.
func (p *Plan) newQueue(tell Progress, here bool) (*Queue, error) {
	q := &Queue{p: p, runs: p.Runs(), tell: tell, change: make(chan struct{}), envs: map[int]runs.Env{}, here: here}
	for _, r := range q.runs { // before anything runs
		if err := p.same(r); err != nil {
			return nil, err
		}
	}
	for i, r := range q.runs {
		res, err := load(p.Dir, r)
		if err != nil {
			return nil, err
		}
		if q.results = append(q.results, res); res == nil {
			q.waiting = append(q.waiting, i)
			q.left++
		} else {
			tell(i+1, len(q.runs), r, res, true)
		}
	}
	return q, nil
}

// changed wakes those who wait.
func (q *Queue) changed() {
	close(q.change)
	q.change = make(chan struct{})
}

// begun says that a run has a folder here, with which no other machine can go on.
func (q *Queue) begun(n int) bool {
	_, err := os.Stat(filepath.Join(q.p.Dir, q.runs[n].Name, "config.yaml"))
	return err == nil
}

// take is the first waiting run that suits, −1 where there is none.
func (q *Queue) take(suits func(n int) bool) int {
	i := slices.IndexFunc(q.waiting, suits)
	if i < 0 {
		return -1
	}
	n := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return n
}

// Take gives a run to another machine; ok is false where there is none for it now.
func (q *Queue) Take() (n int, name string, c config.Config, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n = q.take(func(n int) bool { return !q.begun(n) }); n < 0 || q.failed != nil {
		return 0, "", c, false
	}
	return n, q.runs[n].Name, q.p.ConfigOf(q.runs[n]), true
}

// Back takes a run back that was given away in vain.
func (q *Queue) Back(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.results[n] == nil && !slices.Contains(q.waiting, n) {
		q.waiting = append(q.waiting, n)
		slices.Sort(q.waiting)
		q.changed()
	}
}

// Env is what a run of this comparison sees here: its data, its model and its arithmetic.
func (q *Queue) Env(n int) (runs.Env, error) {
	q.looking.Lock()
	defer q.looking.Unlock()
	arm := q.runs[n].Arm
	if e, ok := q.envs[arm]; ok {
		return e, nil
	}
	x, err := train.Open(q.p.ConfigOf(q.runs[n]), func(string) {})
	if err != nil {
		return runs.Env{}, err
	}
	defer x.Close()
	q.envs[arm] = x.Describe("")
	return q.envs[arm], nil
}

// Name is a run's, of which there is none for a number out of range.
func (q *Queue) Name(n int) string {
	if n < 0 || n >= len(q.runs) {
		return ""
	}
	return q.runs[n].Name
}

// Wanted says that a run has no result yet.
func (q *Queue) Wanted(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return n >= 0 && n < len(q.runs) && q.results[n] == nil
}

// Trained takes the folder of a run that another machine has trained. why says that it is
// none; the run is then still to be trained.
func (q *Queue) Trained(n int, from string, peak float64) (why string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := q.runs[n]
	if q.results[n] != nil || q.begun(n) {
		return "", os.RemoveAll(from) // somebody was faster
	}
	res, bad := resultOf(from, r, peak)
	if bad != nil {
		return bad.Error(), os.RemoveAll(from)
	}
	to := filepath.Join(q.p.Dir, r.Name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", fmt.Errorf("compare: %w", err)
	}
	raw, err := config.Marshal(q.p.ConfigOf(r)) // where things are there is no matter here
	if err == nil {
		err = fsys.WriteFile(fsys.OS, filepath.Join(from, "config.yaml"), raw)
	}
	if err == nil {
		err = os.Rename(from, to)
	}
	if err == nil {
		err = res.keep(q.p.Dir, r)
	}
	if err != nil {
		return "", fmt.Errorf("compare: %w", err)
	}
	q.noted(n, res)
	return "", nil
}

// noted takes the result of a run.
func (q *Queue) noted(n int, res *Result) {
	q.results[n] = res
	q.left--
	q.waiting = slices.DeleteFunc(q.waiting, func(k int) bool { return k == n })
	q.changed()
	q.tell(n+1, len(q.runs), q.runs[n], res, false)
}

// Fail ends the comparison.
func (q *Queue) Fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed = err
	q.changed()
}

// Counts are the runs that have a result, and all.
func (q *Queue) Counts() (done, of int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.runs) - q.left, len(q.runs)
}

// train trains here until every run has a result.
func (q *Queue) train(ctx context.Context, launch Launch) error {
	for {
		q.mu.Lock()
		left, failed, change, n := q.left, q.failed, q.change, -1
		if failed == nil {
			n = q.take(func(n int) bool { return q.here || q.begun(n) })
		}
		q.mu.Unlock()
		switch {
		case failed != nil || left == 0:
			return failed
		case n < 0:
			select {
			case <-change:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		q.tell(n+1, len(q.runs), q.runs[n], nil, false)
		peak, err := q.p.one(ctx, q.runs[n], launch)
		q.mu.Lock()
		var res *Result
		if err == nil {
			if res, err = collect(q.p.Dir, q.runs[n], peak); err == nil {
				q.noted(n, res)
			}
		}
		q.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// Do runs what is missing and returns the results by arm and seed. A run that
// was begun goes on where it was; a run folder of another experiment is refused.
// others, where it is not nil, offers runs to other machines until the comparison has
// ended, and here says that this process trains, too.
func (p *Plan) Do(ctx context.Context, launch Launch, tell Progress, here bool,
	others func(*Queue) (end func() error, err error)) ([][]Result, error) {
	q, err := p.newQueue(tell, here || others == nil)
	if err != nil {
		return nil, err
	}
	end := func() error { return nil }
	if others != nil && q.left > 0 {
		if end, err = others(q); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(q.train(ctx, launch), end()); err != nil {
		return nil, err
	}
	out := make([][]Result, len(p.Arms))
	for i, r := range q.runs {
		out[r.Arm] = append(out[r.Arm], *q.results[i])
	}
	return out, nil
}
