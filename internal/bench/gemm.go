package bench

import (
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/noise"
)

// Shape is one matrix product C = A·B, of Rows×Inner and Inner×Cols numbers.
type Shape struct {
	Rows  int `json:"M"`
	Cols  int `json:"N"`
	Inner int `json:"K"`
}

// shapes are the products of ViTs from one tiny image to a batch of ViT-B, and
// the large square one that serves as the machine's limit.
var shapes = []Shape{{65, 128, 128}, {65, 512, 128}, {65, 128, 512}, {260, 128, 128}, {4158, 128, 128},
	{4158, 512, 128},
	{197, 768, 768}, {1576, 768, 768}, {1568, 3072, 768}, {1568, 768, 3072}, {3152, 3072, 768}, large}

var large = Shape{2048, 2048, 2048}

// GemmRow is one line of the table, in GFLOP/s.
type GemmRow struct {
	Shape
	Ours  float64 `json:"gflops"`
	Rival float64 `json:"rival_gflops,omitempty"`
}

// GemmTable is the result of Gemm.
type GemmTable struct {
	Kernel  string    `json:"kernel"`
	Rival   string    `json:"rival,omitempty"`
	Threads int       `json:"threads"`
	Rows    []GemmRow `json:"rows"`
	Peak    float64   `json:"peak_gflops"`
}

// product is our GEMM of one shape on some threads: rows are dealt out, the
// packed matrix is shared.
type product struct {
	s       Shape
	a, b, c []float32
	packed  kernel.Packed
	scratch []kernel.Scratch
	half    kernel.Half
	rounds  []kernel.HalfScratch // not nil: in bf16
}

func newProduct(s Shape, threads int) *product {
	p := &product{s: s, a: make([]float32, s.Rows*s.Inner), b: make([]float32, s.Cols*s.Inner),
		c: make([]float32, s.Rows*s.Cols), scratch: make([]kernel.Scratch, threads)}
	g := noise.Rand(1, noise.Test)
	for i := range p.a {
		p.a[i] = g.Float32() - 0.5
	}
	for i := range p.b {
		p.b[i] = g.Float32() - 0.5
	}
	p.packed.PackNN(p.b, s.Inner, s.Cols, s.Cols)
	return p
}

func (p *product) run() {
	threads := len(p.scratch)
	share := (p.s.Rows + threads - 1) / threads
	var wg sync.WaitGroup
	for t := range threads {
		lo, hi := min(p.s.Rows, t*share), min(p.s.Rows, (t+1)*share)
		if lo == hi {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, a := p.c[lo*p.s.Cols:], p.a[lo*p.s.Inner:]
			if p.rounds != nil {
				kernel.GemmHalf(c, p.s.Cols, a, p.s.Inner, hi-lo, &p.half, nil, &p.rounds[t])
				return
			}
			kernel.Gemm(c, p.s.Cols, a, p.s.Inner, hi-lo, &p.packed, &kernel.Epilogue{}, &p.scratch[t])
		}()
	}
	wg.Wait()
}

// rate is the best of several timings of f, in GFLOP/s.
func rate(s Shape, tries int, f func()) float64 {
	flop := 2 * float64(s.Rows) * float64(s.Cols) * float64(s.Inner)
	f()
	best := 0.0
	for range tries {
		n := 0
		began := time.Now()
		for n == 0 || time.Since(began) < 30*time.Millisecond {
			f()
			n++
		}
		best = max(best, flop*float64(n)/time.Since(began).Seconds()/1e9)
	}
	return best
}

// Gemm times every shape, ours and OpenBLAS's in turn.
func Gemm(threads, tries int) (*GemmTable, error) {
	t := &GemmTable{Kernel: kernel.Describe(), Threads: threads}
	rival, err := kernel.FindOpenBLAS()
	if err == nil {
		t.Rival = rival.Name()
	}
	for _, s := range shapes {
		p := newProduct(s, threads)
		r := GemmRow{Shape: s, Ours: rate(s, tries, p.run)}
		if rival != nil && err == nil {
			r.Rival = rate(s, tries, func() { rival.Sgemm(s.Rows, s.Cols, s.Inner, p.a, p.b, p.c, threads) })
		}
		t.Rows = append(t.Rows, r)
		if s == large {
			t.Peak = r.Ours
		}
	}
	return t, nil
}

// Peak is the rate of a large product on some threads, in GFLOP/s: what the
// machine gives to matrix products now, in float32 or in bf16.
func Peak(threads int, half bool) float64 {
	p := newProduct(large, threads)
	if half {
		p.half.PackNT(p.b, large.Cols, large.Inner, large.Inner)
		p.rounds = make([]kernel.HalfScratch, threads)
	}
	return rate(large, 3, p.run)
}

// AgainstPeak sets what share of the machine's limit the result reached.
func (r *Result) AgainstPeak(peak float64) {
	r.PeakGFLOPs = peak
	if peak > 0 {
		r.PeakShare = r.GFLOPs / peak
	}
}

// Print writes the result for people.
func (r *Result) Print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s: %.1f queries/s (%d in %.4f s), %.1f GFLOP/s", r.Mode, r.PerSecond, r.Queries, r.Seconds,
		r.GFLOPs)
	if err == nil && r.PeakGFLOPs > 0 {
		_, err = fmt.Fprintf(w, " of %.1f (%.0f%%)", r.PeakGFLOPs, 100*r.PeakShare)
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "\npeak memory %d MiB, kernel %s, %d threads\n", r.PeakMiB, r.Kernel, r.Threads)
	}
	return err
}

// Print writes the table for people.
func (t *GemmTable) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "m\tn\tk\tGFLOP/s\t")
	if t.Rival != "" {
		fmt.Fprintf(tw, "%s\tratio\t", t.Rival)
	}
	fmt.Fprintln(tw)
	for _, r := range t.Rows {
		fmt.Fprintf(tw, "%d\t%d\t%d\t%.1f\t", r.Rows, r.Cols, r.Inner, r.Ours)
		if r.Rival > 0 {
			fmt.Fprintf(tw, "%.1f\t%.2f\t", r.Rival, r.Ours/r.Rival)
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "kernel %s, %d threads, peak %.1f GFLOP/s\n", t.Kernel, t.Threads, t.Peak)
	return err
}
