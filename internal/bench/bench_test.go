package bench

import (
	"context"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/vit"
)

var small = vit.Arch{Image: 32, Patch: 4, Chans: 3, Hidden: 128, Layers: 6, Heads: 4, MLP: 512, Classes: 5, Eps: 1e-12}

func options(mode string, threads int) Options {
	return Options{Mode: mode, Arch: small, Batch: 64, Queries: 20, Tune: 1, Threads: threads, Steps: 1, Device: "cpu"}
}

// benchmark times steps after one that builds the graphs, and reports queries
// per second and allocations.
func benchmark(b *testing.B, o Options) {
	r, err := prepare(context.Background(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer r.m.Close()
	if _, _, err := r.step(0); err != nil {
		b.Fatal(err)
	}
	var queries int64
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		q, _, err := r.step(uint32(i + 1))
		if err != nil {
			b.Fatal(err)
		}
		queries += q
	}
	b.ReportMetric(float64(queries)/b.Elapsed().Seconds(), "queries/s")
}

func BenchmarkForward1(b *testing.B) { benchmark(b, options("forward", 1)) }
func BenchmarkForward2(b *testing.B) { benchmark(b, options("forward", 2)) }
func BenchmarkLR1(b *testing.B)      { benchmark(b, options("lr", 1)) }
func BenchmarkLR2(b *testing.B)      { benchmark(b, options("lr", 2)) }
func BenchmarkSPSA2(b *testing.B)    { benchmark(b, options("spsa", 2)) }
func BenchmarkBP2(b *testing.B)      { benchmark(b, options("bp", 2)) }

// TestResidentMemory: 2,000 steps end within 5% of the resident memory that the
// run had after 50, or within 2 MiB where that is more.
func TestResidentMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("2,000 steps: not in short mode")
	}
	if residentKiB() == 0 {
		t.Skip("this system does not tell its resident memory")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(20)) // as the program has it, whatever GOGC says
	o := options("lr", 2)
	o.Arch.Hidden, o.Arch.Layers, o.Arch.MLP, o.Batch, o.Queries = 32, 2, 64, 16, 4
	r, err := prepare(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.m.Close()
	var early int64
	for i := range uint32(2000) {
		if _, _, err := r.step(i); err != nil {
			t.Fatal(err)
		}
		if i == 49 {
			debug.FreeOSMemory()
			early = residentKiB()
		}
	}
	debug.FreeOSMemory()
	late := residentKiB()
	t.Logf("resident: %d KiB after 50 steps, %d after 2,000", early, late)
	if limit := max(early/20, 2048); late > early+limit {
		t.Errorf("%d KiB after 50 steps, %d after 2,000", early, late)
	}
}

func TestRun(t *testing.T) {
	o := options("", 2)
	o.Arch.Hidden, o.Arch.Layers, o.Arch.MLP, o.Batch, o.Queries = 32, 2, 64, 4, 4
	for mode, want := range map[string]int64{"forward": 4, "lr": 4 * 4 * 5, "spsa": 4 * 4, "bp": 4} {
		o.Mode = mode
		r, err := Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Queries != want || r.PerSecond <= 0 || r.GFLOPs <= 0 || r.Kernel == "" {
			t.Errorf("%s: %+v, want %d queries", mode, r, want)
		}
	}
	for name, bad := range map[string]func(*Options){
		"no benchmark": func(o *Options) { o.Mode = "forwards" }, "batch 0": func(o *Options) { o.Batch = 0 },
		"--tune":   func(o *Options) { o.Mode, o.Tune = "lr", 9 },
		"multiple": func(o *Options) { o.Mode, o.Arch.Heads = "lr", 5 },
	} {
		b := o
		b.Mode = "forward"
		bad(&b)
		if _, err := Run(context.Background(), b); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
