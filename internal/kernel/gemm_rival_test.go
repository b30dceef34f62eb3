//go:build linux && openblas

package kernel

import (
	"fmt"
	"math/rand"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// clock is the time that a product on so many threads takes: the thread's own
// processor time for one, so that a busy machine does not count, the wall's for
// more.
func clock(threads int) time.Duration {
	id := int32(unix.CLOCK_MONOTONIC)
	if threads == 1 {
		id = unix.CLOCK_THREAD_CPUTIME_ID
	}
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkGemmRival times the library and our kernel in turn on the same data
// and reports the best rate of each, since a shared machine's slow moments fall
// on either:
//
//	go test -tags openblas -bench Rival -benchtime 20x ./internal/kernel
func BenchmarkGemmRival(b *testing.B) {
	rival, err := FindOpenBLAS()
	if err != nil {
		b.Skip(err)
	}
	r := rand.New(rand.NewSource(1))
	for _, shape := range vitShapes {
		for _, threads := range []int{1, 2} {
			m, n, k := shape[0], shape[1], shape[2]
			b.Run(fmt.Sprintf("%dx%dx%d/threads=%d", m, n, k, threads), func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				a, w, c := randn(r, m*k), randn(r, n*k), make([]float32, m*n)
				right := make([]float32, n*k)
				transpose(right, n, w, k, n, k)
				var p Packed
				scratch := make([]Scratch, threads)
				p.PackNT(w, n, k, k)
				// Small products are repeated within one timing.
				repeat := 1 + 20_000_000/(2*m*n*k)
				rows := (m + threads - 1) / threads
				ours := func() {
					Parallel(threads, threads, func(_, i int) {
						first := i * rows
						mine := min(rows, m-first)
						for range repeat {
							Gemm(c[first*n:], n, a[first*k:], k, mine, &p, nil, &scratch[i])
						}
					})
				}
				theirs := func() {
					for range repeat {
						rival.Sgemm(m, n, k, a, right, c, threads)
					}
				}
				rate := func(f func()) float64 {
					start := clock(threads)
					f()
					return 2 * float64(m) * float64(n) * float64(k) * float64(repeat) / (clock(threads) - start).Seconds() / 1e9
				}
				var us, them []float64
				for b.Loop() {
					us, them = append(us, rate(ours)), append(them, rate(theirs))
				}
				best, theirBest := slices.Max(us), slices.Max(them)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(best, "GFLOP/s")
				b.ReportMetric(theirBest, "rival-GFLOP/s")
				b.ReportMetric(best/theirBest, "ratio")
			})
		}
	}
}
