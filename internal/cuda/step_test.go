package cuda

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"sort"
	"strconv"
	"testing"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// timed waits for every kernel and library call and adds up their time: what
// the device has to do in a step, without what it waits for. Each wait costs
// some microseconds, so that the sum is an upper bound.
type timed struct {
	Driver
	sum   time.Duration
	by    map[string]time.Duration
	calls map[string]int
}

func (d *timed) measure(name string, f func() error) error {
	if err := d.Sync(); err != nil {
		return err
	}
	began := time.Now()
	if err := f(); err != nil {
		return err
	}
	err := d.Sync()
	took := time.Since(began)
	d.sum += took
	d.by[name] += took
	d.calls[name]++
	return err
}

func (d *timed) Launch(kernel string, grid, block Dim, dynamic int, s Stream, args []Arg) error {
	return d.measure(kernel, func() error { return d.Driver.Launch(kernel, grid, block, dynamic, s, args) })
}

// clock lets a model's kernels be timed.
func clock(m *Model) *timed {
	d := &timed{Driver: m.b.dev.Driver, by: map[string]time.Duration{}, calls: map[string]int{}}
	m.b.dev.Driver = d
	if b := m.b.dev.blas; b != nil {
		call := b.call
		b.call = func(fn uintptr, args ...uintptr) (r uintptr) {
			err := d.measure("cuBLAS", func() error { r = call(fn, args...); return nil })
			if err != nil && r == 0 {
				r = 14 // CUBLAS_STATUS_INTERNAL_ERROR
			}
			return r
		}
	}
	return d
}

// stepper is a training step of the yardstick: the sites and counts of
// flops_torch.py in the project's documents.
func stepper(t testing.TB, m *Model, b *forward.Batch, mode string, queries int) func(n uint32) int64 {
	ok := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	if mode == "forward" {
		return func(uint32) int64 {
			_, err := m.Evaluate(ctx, b)
			ok(err)
			return int64(b.Size)
		}
	}
	src := noise.Gaussian(seed)
	o := lr.Options{Antithetic: true, Sigma: 1e-3, Noise: src, Own: lr.Plain()}
	name := "weight"
	trained := map[int]bool{}
	if mode == "lr" {
		name = "activation"
		last := lastBlock(m) // the classifier comes after it
		for i, s := range m.Sites() {
			if s.Kind == vit.Classifier || s.Block == last && slices.Contains([]string{vit.Query, vit.Key, vit.Value,
				vit.AttnOut}, s.Kind) {
				o.Sites = append(o.Sites, i)
				trained[s.Weight], trained[s.Bias] = true, true
			}
		}
	} else {
		for i := range m.Params() {
			o.Params = append(o.Params, i)
			trained[i] = true
		}
	}
	var params []*forward.Param
	var numbers []int
	for i, p := range m.Params() {
		if p.Grad = nil; trained[i] {
			p.Grad = make([]float32, len(p.Data))
			params, numbers = append(params, p), append(numbers, i)
		}
	}
	any, err := lr.New(name, m, o)
	ok(err)
	e := any.(lr.Asker)
	opt, err := optim.New("adamw", optim.Options{})
	ok(err)
	held := optim.Hold(m, opt)
	if held == nil {
		t.Fatal("the device takes no steps of adamw")
	}
	counts := make([]int, b.Size)
	for i := range counts {
		counts[i] = queries
	}
	return func(n uint32) int64 {
		held.Forget()
		s, err := lr.Prepare(ctx, m, e, n, b)
		ok(err)
		s.Counts = counts
		r, err := e.Ask(ctx, m, &s.Step)
		ok(err)
		ok(e.Accumulate(ctx, &s.Step, r.Records))
		if sound, err := held.Step(params, numbers, 1e-4, 1); err != nil || !sound {
			t.Fatal("the update: ", sound, err)
		}
		return r.Queries
	}
}

// line is a measured step as one line of JSON, with the keys of flops_torch.py.
type line struct {
	Mode      string  `json:"mode"`
	Precision string  `json:"precision"`
	Queries   int64   `json:"queries"`
	Seconds   float64 `json:"seconds"` // median step
	PerSecond float64 `json:"queries_per_s"`
	Kernels   float64 `json:"kernel_seconds"` // sum over the kernels of one step
	Device    string  `json:"device"`
	Memory    float64 `json:"memory_gib,omitempty"`   // that the device was asked for
	Measured  float64 `json:"measured_gib,omitempty"` // and what it has less since the driver was opened
	Logits    float64 `json:"logits_off,omitempty"`   // error relative to fp32's
	C         float64 `json:"c_off,omitempty"`        // that of (ℓ₊ − ℓ₋)/2σ
}

// bench are the sizes of a measurement: by default tiny and taken once, so that the
// numbers of scripts/gpu-check.sh come from code that is known to work.
// FLOPS_BENCH=vit-b16 gives those of the comparison, ViT-B/16 at batch 256 and 20
// queries.
func bench() (arch vit.Arch, images, queries, steps int) {
	if os.Getenv("FLOPS_BENCH") != "vit-b16" {
		return eights, 3, 4, 1
	}
	images = 256
	if n, err := strconv.Atoi(os.Getenv("FLOPS_BENCH_BATCH")); err == nil {
		images = n
	}
	return vit.Arch{Image: 224, Patch: 16, Chans: 3, Hidden: 768, Layers: 12, Heads: 12, MLP: 3072, Classes: 1000,
		Eps: 1e-12}, images, 20, 8
}

// benchNetwork is a network of usual weights and a batch of bytes.
func benchNetwork(t testing.TB, a vit.Arch, images int) (*vit.Net, *forward.Batch) {
	t.Helper()
	w, err := vit.NewWeights(a)
	if err != nil {
		t.Fatal(err)
	}
	pool := random(1<<20, 11)
	w.Init(func(dst []float32, tensor int) {
		for n, at := 0, tensor*7919; n < len(dst); at = 0 {
			n += copy(dst[n:], pool[at%len(pool):])
		}
	})
	n := vit.NewNet(w)
	b := &forward.Batch{Size: images, Labels: make([]int32, images), Index: make([]int32, images),
		Levels: &forward.Levels{Data: make([]uint8, images*n.Pixels()), Table: make([]float32, 256*a.Chans)}}
	for i := range b.Levels.Data {
		b.Levels.Data[i] = uint8(uint32(i) * 2654435761 >> 24)
	}
	for i := range b.Levels.Table {
		b.Levels.Table[i] = (float32(i%256) - 127.5) / 73.9
	}
	for i := range b.Labels {
		b.Labels[i], b.Index[i] = int32(i*3%a.Classes), int32(i)
	}
	return n, b
}

// precisions are those that a measurement is of: FLOPS_BENCH_PRECISION, or all.
func precisions() []Precision {
	if p := os.Getenv("FLOPS_BENCH_PRECISION"); p != "" {
		return []Precision{Precision(p)}
	}
	if os.Getenv("FLOPS_BENCH") == "" {
		return []Precision{FP32}
	}
	return []Precision{BF16, TF32, FP32}
}

// TestSteps runs the steps that scripts/gpu-check.sh measures, and with FLOPS_BENCH
// prints one line of JSON per mode and precision.
func TestSteps(t *testing.T) {
	arch, images, per, steps := bench()
	net, b := benchNetwork(t, arch, images)
	for _, precision := range precisions() {
		for _, mode := range []string{"forward", "lr", "spsa"} {
			n := steps
			if mode == "spsa" {
				n = min(n, 2)
			}
			stepCase(t, net, b, precision, mode, per, n)
		}
	}
}

func stepCase(t *testing.T, net *vit.Net, b *forward.Batch, precision Precision, mode string, per, steps int) {
	d := testDriverOpen(t)
	before, _, err := d.Memory()
	if err != nil {
		t.Fatal(err)
	}
	label := string(precision)
	opt := Options{Noise: Noise{Seed: seed}, Loss: objective.CE{}, Mask: true, Precision: precision,
		Plain: os.Getenv("FLOPS_BENCH_WAY") == "plain", Tanh: os.Getenv("FLOPS_BENCH_WAY") == "tanh"}
	if way := os.Getenv("FLOPS_BENCH_WAY"); way != "" {
		label += " " + way
	}
	m, err := NewModel(d, net, opt)
	if err != nil {
		t.Fatal(err)
	}
	step := stepper(t, m, b, mode, per)
	step(0) // compiles, and translates what the driver had not
	var times []float64
	var n int64
	for i := 0; i < steps; i++ {
		began := time.Now()
		n = step(uint32(i + 1))
		times = append(times, time.Since(began).Seconds())
	}
	sort.Float64s(times)
	after, _, err := d.Memory()
	if err != nil {
		t.Fatal(err)
	}
	l := line{Mode: mode, Precision: label, Queries: n, Seconds: times[len(times)/2], Device: m.Device(),
		Memory: gib(m.Memory()), Measured: gib(before - after)}
	if off := l.Measured/l.Memory - 1; os.Getenv("FLOPS_BENCH") == "vit-b16" && math.Abs(off) > 0.05 {
		t.Errorf("%s in %s: %.3f GiB forecast, %.3f taken", mode, label, l.Memory, l.Measured)
	}
	l.PerSecond = float64(n) / l.Seconds
	c := clock(m)
	step(uint32(steps + 1))
	l.Kernels = c.sum.Seconds()
	if n == 0 || c.sum == 0 {
		t.Errorf("%s: %d queries, %v of kernels", mode, n, c.sum)
	}
	l.print(t)
	if os.Getenv("FLOPS_BENCH") != "" {
		c.print(t)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func gib(bytes int64) float64 { return float64(bytes) / (1 << 30) }

// print writes the line where a measurement was asked for.
func (l *line) print(t *testing.T) {
	if os.Getenv("FLOPS_BENCH") == "" {
		return
	}
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s\n", text)
}

// TestPrecision compares logits, and the coefficients c of queries at the maps of the
// last block's attention, with those in fp32 on the same device.
func TestPrecision(t *testing.T) {
	arch, images, _, _ := bench()
	net, b := benchNetwork(t, arch, min(images, 64))
	var logits, c [3][]float64
	for i, precision := range []Precision{FP32, TF32, BF16} {
		m, err := NewModel(testDriverOpen(t), net, Options{Noise: Noise{Seed: seed}, Loss: objective.CE{}, Mask: true,
			Precision: precision})
		if err != nil {
			t.Fatal(err)
		}
		logits[i], c[i] = differences(t, m, b)
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if i > 0 {
			l := line{Mode: "precision", Precision: string(precision), Device: m.Device(), Logits: relative(logits[i],
				logits[0]),
				C: relative(c[i], c[0])}
			if l.print(t); l.Logits > 0.03 || l.C > 0.02 {
				t.Errorf("%s: logits are off by %.4f of fp32's, c by %.4f", precision, l.Logits, l.C)
			}
		}
	}
}

// differences are a batch's logits and the c of a pair at each of four sites.
func differences(t *testing.T, m *Model, b *forward.Batch) (logits, c []float64) {
	ctx := context.Background()
	last := lastBlock(m)
	var sites []int
	for i, s := range m.Sites() {
		if s.Block == last && slices.Contains([]string{vit.Query, vit.Key, vit.Value, vit.AttnOut}, s.Kind) {
			sites = append(sites, i)
		}
	}
	pass, err := m.Clean(ctx, b, sites)
	if err != nil {
		t.Fatal(err)
	}
	q, _ := queries(b.Size, 2)
	for _, s := range sites {
		loss := make([]float32, len(q))
		err := pass.Losses(ctx, &forward.Perturbation{Step: 1, Sites: []int{s}, Sigma: []float32{1e-2}}, q, loss)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(q); i += 2 {
			c = append(c, float64(loss[i]-loss[i+1])/2e-2)
		}
	}
	return wide(pass.Clean().Logits), c
}

// print logs the kernels of a step, the longest first.
func (d *timed) print(t *testing.T) {
	var names []string
	for name := range d.by {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return int(d.by[b] - d.by[a]) })
	for _, name := range names {
		t.Logf("%-20s %6d calls %10.3f ms", name, d.calls[name], float64(d.by[name].Microseconds())/1e3)
	}
}

// lastBlock is the number of a network's last block.
func lastBlock(m *Model) (n int) {
	for _, s := range m.Sites() {
		n = max(n, s.Block)
	}
	return n
}
