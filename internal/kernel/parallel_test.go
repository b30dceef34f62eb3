package kernel

import (
	"sync/atomic"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

func TestParallel(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		var done [100]atomic.Int32
		busy := make([]atomic.Int32, workers)
		Parallel(workers, len(done), func(worker, i int) {
			if busy[worker].Add(1) != 1 {
				t.Errorf("two items at once on worker %d", worker)
			}
			Parallel(2, 3, func(int, int) { done[i].Add(1) })
			busy[worker].Add(-1)
		})
		for i := range done {
			if n := done[i].Load(); n != 3 {
				t.Errorf("%d workers: item %d ran %d times, not 3", workers, i, n)
			}
		}
	}
}

func TestParallelDoesNotAllocate(t *testing.T) {
	var sum atomic.Int64
	f := func(_, i int) { sum.Add(int64(i)) }
	run := func() { Parallel(2, 10, f) }
	run()
	if allocs := testkit.Allocations(t, 100, run); allocs >= 1 {
		t.Errorf("%v allocations per call", allocs)
	}
}
