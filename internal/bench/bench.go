// Package bench times the engine on random images at given shapes: the same
// work as the PyTorch yardstick of the project's documents, so that the two can
// be run in turn and compared as ratios.
package bench

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// Options are the shapes and counts of one benchmark.
type Options struct {
	Mode      string // forward | lr | spsa | bp
	Arch      vit.Arch
	Batch     int
	Queries   int    // per image (and site), an antithetic pair counted as two
	Tune      int    // lr: last blocks whose query, key, value and attn_out are perturbed
	Threads   int    // 0: every core
	Steps     int    // timed steps; the median counts
	Device    string // a setting of internal/device
	Precision string // of matrix products
}

// Result is one line of output.
type Result struct {
	Mode        string  `json:"mode"`
	Queries     int64   `json:"queries"` // of one step
	Seconds     float64 `json:"seconds"` // median step
	PerSecond   float64 `json:"queries_per_s"`
	PeakMiB     int64   `json:"peak_mib"` // resident set, high-water mark of the process
	GFLOPs      float64 `json:"gflops"`   // achieved, matrix products only
	PeakGFLOPs  float64 `json:"peak_gflops,omitempty"`
	PeakShare   float64 `json:"peak_fraction,omitempty"`
	Kernel      string  `json:"kernel"`
	Threads     int     `json:"threads"`
	FLOPsOfStep int64   `json:"flops"`
}

// Modes lists the benchmarks of Run.
func Modes() []string { return []string{"forward", "lr", "spsa", "bp"} }

// runner is one mode ready to be timed.
type runner struct {
	m     query.Differentiable
	batch *forward.Batch
	step  func(n uint32) (queries, flops int64, err error)
}

// Run times one mode.
func Run(ctx context.Context, o Options) (*Result, error) {
	if !slices.Contains(Modes(), o.Mode) {
		return nil, uierr.New(fmt.Sprintf("--mode: no benchmark %q", o.Mode), fmt.Sprintf("known: %v, gemm", Modes()))
	}
	if o.Batch < 1 || o.Steps < 1 || o.Queries < 2 || o.Queries%2 != 0 {
		return nil, uierr.New(fmt.Sprintf("bench: batch %d, queries %d, steps %d", o.Batch, o.Queries, o.Steps),
			"batch and steps are at least 1, queries even and at least 2")
	}
	if o.Tune < 0 || o.Tune > o.Arch.Layers {
		return nil, uierr.New(fmt.Sprintf("--tune: %d of %d blocks", o.Tune, o.Arch.Layers), "give at most the model's depth")
	}
	r, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	defer r.m.Close()
	res := &Result{Mode: o.Mode, Kernel: kernel.Describe(), Threads: o.Threads}
	if d := r.m.Device(); d != device.CPU {
		res.Kernel = d
	} else if o.Precision == vit.BF16 {
		res.Kernel += ", bf16 on " + kernel.DescribeHalf()
	}
	var times []float64
	for i := 0; i <= o.Steps; i++ { // the first builds graphs and packs weights
		began := time.Now()
		if res.Queries, res.FLOPsOfStep, err = r.step(uint32(i)); err != nil {
			return nil, err
		}
		if i > 0 {
			times = append(times, time.Since(began).Seconds())
		}
	}
	sort.Float64s(times)
	res.Seconds = times[len(times)/2]
	res.PerSecond = float64(res.Queries) / res.Seconds
	res.GFLOPs = float64(res.FLOPsOfStep) / res.Seconds / 1e9
	res.PeakMiB = PeakMiB()
	return res, nil
}

// prepare makes a random network and batch and the step of the mode.
func prepare(ctx context.Context, o Options) (*runner, error) {
	w, err := vit.NewWeights(o.Arch)
	if err != nil {
		return nil, uierr.Wrap(err, err.Error(), "check --dim, --heads, --image and --patch")
	}
	w.Init(func(dst []float32, tensor int) { fill(dst, noise.Init, uint32(tensor)) })
	directions := &device.Noise{Kind: "gaussian", QMC: "none", Seed: 1}
	src, err := directions.Source()
	if err != nil {
		return nil, err
	}
	loss, err := objective.New("cross_entropy")
	if err != nil {
		return nil, err
	}
	n := o.Arch.Chans * o.Arch.Image * o.Arch.Image
	b := &forward.Batch{Size: o.Batch, Inputs: make([]float32, o.Batch*n), Labels: make([]int32, o.Batch),
		Index: make([]int32, o.Batch)}
	fill(b.Inputs, noise.Test, 0)
	for i := range b.Labels {
		b.Labels[i], b.Index[i] = int32(i%o.Arch.Classes), int32(i)
	}
	r := &runner{batch: b}
	r.m, err = device.Open(o.Device, vit.NewNet(w),
		device.Options{Threads: o.Threads, Loss: loss, Mask: true, Precision: o.Precision,
			Noise: directions})
	if err != nil {
		return nil, err
	}
	if m, ok := r.m.(interface{ TakesLevels() bool }); ok && m.TakesLevels() { // as in training
		b.Levels = levels(o.Arch.Chans, len(b.Inputs))
	}
	switch o.Mode {
	case "forward":
		r.step = func(uint32) (int64, int64, error) {
			_, err := r.m.Evaluate(ctx, b)
			return int64(b.Size), int64(b.Size) * r.m.ForwardFLOPs(), err
		}
		return r, nil
	case "lr":
		return r, r.estimate(ctx, "activation", o, lr.Options{Sites: tuned(r.m, o.Tune), Antithetic: true, Sigma: 1e-3,
			Noise: src, Own: lr.Plain()})
	case "spsa":
		return r, r.estimate(ctx, "weight", o, lr.Options{Params: every(r.m), Antithetic: true, Sigma: 1e-3,
			Noise: src, Own: lr.Plain()})
	}
	return r, r.estimate(ctx, "bp", o, lr.Options{Params: every(r.m)})
}

// fill draws standard normals quickly.
func fill(dst []float32, p noise.Purpose, c uint32) {
	g := noise.Rand(1, p, c)
	for i := range dst {
		dst[i] = float32(g.Normal())
	}
}

func every(m query.Model) []int {
	out := make([]int, len(m.Params()))
	for i := range out {
		out[i] = i
	}
	return out
}

// tuned are the sites that the yardstick perturbs: query, key, value and
// attn_out of the last blocks, and the classifier.
func tuned(m query.Model, blocks int) []int {
	var out []int
	last := 0
	for _, s := range m.Sites() {
		last = max(last, s.Block)
	}
	for i, s := range m.Sites() {
		if s.Kind == vit.Classifier || s.Block > last-blocks &&
			slices.Contains([]string{vit.Query, vit.Key, vit.Value, vit.AttnOut}, s.Kind) {
			out = append(out, i)
		}
	}
	return out
}

// estimate makes the step of an estimator: clean pass, queries, gradient, one
// update with Adam.
func (r *runner) estimate(ctx context.Context, name string, o Options, lo lr.Options) error {
	e, err := lr.New(name, r.m, lo)
	if err != nil {
		return err
	}
	if err := r.halve(o, lo); err != nil {
		return err
	}
	trained := map[int]bool{}
	for _, s := range lo.Sites {
		for _, p := range r.m.Sites()[s].Params() {
			trained[p] = true
		}
	}
	for _, p := range lo.Params {
		trained[p] = true
	}
	var params []*forward.Param
	var numbers []int
	for i, p := range r.m.Params() {
		if trained[i] {
			p.Grad = make([]float32, len(p.Data))
			params, numbers = append(params, p), append(numbers, i)
		}
	}
	opt, err := optim.New("adamw", optim.Options{})
	if err != nil {
		return err
	}
	counts := make([]int, o.Batch)
	for i := range counts {
		counts[i] = o.Queries
	}
	clean := func() {
		for _, p := range params {
			clear(p.Grad)
		}
	}
	update := func() error {
		opt.Step(params, 1e-4)
		r.m.Touch()
		return nil
	}
	// As a run does, the step is taken where the model is, if it can.
	if held := optim.Hold(r.m, opt); held != nil {
		clean = held.Forget
		update = func() error {
			_, err := held.Step(params, numbers, 1e-4, 1)
			return err
		}
	}
	r.step = func(n uint32) (int64, int64, error) {
		clean()
		res, err := r.gradient(ctx, e, n, counts)
		if err != nil {
			return 0, 0, err
		}
		if err := update(); err != nil {
			return 0, 0, err
		}
		q := res.Queries
		if q == 0 {
			q = int64(o.Batch) // bp: images
		}
		return q, int64(o.Batch)*r.m.ForwardFLOPs() + res.FLOPs, nil
	}
	return nil
}

// halve chooses the maps that multiply in bf16 on the processor, where that is asked.
func (r *runner) halve(o Options, lo lr.Options) error {
	h, ok := r.m.(interface {
		Halve(sites, params []int, queries float64) vit.Halved
	})
	if !ok || o.Precision != vit.BF16 || r.m.Device() != device.CPU {
		return nil
	}
	if r := h.Halve(lo.Sites, lo.Params, float64(o.Queries)); r.Maps == 0 && !r.Few {
		return uierr.New("--precision bf16: --mode "+o.Mode+" changes or differentiates every weight, and rounding would "+
			"drown what it looks for", "use --precision fp32, or --mode forward or lr")
	}
	return nil
}

// gradient makes a step's gradient and says what it cost beside the forward.
func (r *runner) gradient(ctx context.Context, e lr.Estimator, n uint32, counts []int) (*forward.Result, error) {
	s, err := lr.Prepare(ctx, r.m, e, n, r.batch)
	if err != nil {
		return nil, err
	}
	s.Counts = counts
	res, err := lr.Ask(ctx, r.m, e, s)
	if err != nil {
		return nil, err
	}
	_, err = lr.Apply(ctx, r.m, e, s, res.Records)
	return res, err
}

// levels are n bytes of images, whose values have mean 0 and deviation about 1.
func levels(channels, n int) *forward.Levels {
	l := &forward.Levels{Data: make([]uint8, n), Table: make([]float32, 256*channels)}
	g := noise.Rand(0, noise.Test, 0)
	for i := range l.Data {
		l.Data[i] = uint8(g.Uint32() >> 24)
	}
	for i := range l.Table {
		l.Table[i] = (float32(i%256) - 127.5) / 73.9
	}
	return l
}
