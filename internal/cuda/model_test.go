package cuda

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// tiny is a network with odd sizes; tokens65 has the sequence of CIFAR models.
var (
	tiny     = vit.Arch{Image: 12, Patch: 4, Chans: 1, Hidden: 20, Layers: 2, Heads: 2, MLP: 28, Classes: 4, Prompts: 1, Eps: 1e-6}
	tokens65 = vit.Arch{Image: 16, Patch: 2, Chans: 3, Hidden: 24, Layers: 2, Heads: 3, MLP: 40, Classes: 5, Eps: 1e-12}
)

// noBias is tiny with linear maps that have no bias.
var noBias = func() vit.Arch { a := tiny; a.NoQKVBias = true; return a }()

// clip is CLIP's vision tower, alone and with a classifier.
var (
	clip        = vit.CLIPVision{Arch: func() vit.Arch { a := tiny; a.Classes = 0; return a }(), Projected: 12}
	clipClasses = vit.CLIPVision{Arch: tiny, Projected: 12}
)

// families are networks that have between them every switch of an encoder.
var families = func() map[string]vit.Architecture {
	a := vit.Arch{Image: 12, Across: 9, Patch: 4, Chans: 1, Hidden: 16, Layers: 2, Heads: 2, MLP: 12, Classes: 4,
		Eps: 1e-6}
	mixed := vit.Timm(a, false)
	mixed.QKNorm, mixed.Scaled, mixed.PreNorm, mixed.NoPatchBias = true, true, true, true
	mixed.Pool, mixed.FinalNorm, mixed.PooledNorm, mixed.Positions = vit.PoolMean, false, true, vit.PositionsPatches
	relative, shared := vit.BEiT(a, true), vit.BEiT(a, false)
	relative.Scaled, relative.Relative, shared.Relative = true, vit.RelativeBlock, vit.RelativeOne
	gated := a
	gated.Act = vit.SiLU
	turned := vit.DINOv3(a, 2, false)
	turned.NoKeyBias, turned.Prompts = true, 1
	return map[string]vit.Architecture{"mixed": mixed, "relative": relative, "shared": shared, "heads": vit.DeiT(a, true),
		"both": vit.DINOv2(gated, 2, true), "turned": turned, "attention": vit.SigLIP(a, vit.PoolAttention)}
}()

const seed = 17

// network makes a net and a batch; train says which parameters have gradients.
func network(t testing.TB, a vit.Architecture, images int, train bool) (*vit.Net, *forward.Batch) {
	t.Helper()
	w, err := vit.NewWeights(a)
	if err != nil {
		t.Fatal(err)
	}
	w.Init(func(dst []float32, tensor int) { copy(dst, random(len(dst), uint32(100+tensor))) })
	for i, p := range w.Params() {
		if train {
			p.Grad = make([]float32, len(p.Data))
		}
		if p.Role != "norm" && p.Role != "linear" || p.Name == "classifier.weight" {
			for j := range p.Data {
				p.Data[j] *= 25
			}
		}
		if p.Role == "norm" {
			for j, v := range random(len(p.Data), uint32(500+i)) {
				p.Data[j] += 0.1 * v
			}
		}
	}
	n := vit.NewNet(w)
	b := &forward.Batch{Size: images, Inputs: random(images*n.Pixels(), 7), Labels: make([]int32, images),
		Index: make([]int32, images)}
	for i := range b.Labels {
		b.Labels[i] = int32(i*3) % int32(a.Outputs())
	}
	return n, b
}

// twins are the same network on the CPU and on the device, each with its own
// gradients.
type twins struct {
	t                testing.TB
	cpu              *vit.Model
	gpu              *Model
	cpuPass, gpuPass forward.Pass // of the last clean
	host             *hostDriver  // nil on a GPU
	b                *forward.Batch
	ctx              context.Context
}

func newTwins(t testing.TB, a vit.Architecture, images int, mask bool, opt Options) *twins {
	t.Helper()
	return twinsOn(t, testDriverOpen(t), a, images, mask, opt)
}

func twinsOn(t testing.TB, d Driver, a vit.Architecture, images int, mask bool, opt Options) *twins {
	t.Helper()
	n1, b := network(t, a, images, true)
	n2, _ := network(t, a, images, true)
	src := noise.Gaussian(seed)
	if opt.Loss == nil {
		opt.Loss = objective.CE{}
	}
	opt.Noise, opt.Mask = Noise{Seed: seed}, mask
	g, err := NewModel(d, n2, opt)
	if err != nil {
		t.Fatal(err)
	}
	w := &twins{t: t, cpu: vit.NewModel(n1, vit.Options{Threads: 1, Noise: src, Loss: opt.Loss, Mask: mask,
		Exact: opt.Exact}), gpu: g, b: b, ctx: context.Background()}
	w.host, _ = d.(*hostDriver)
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *twins) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *twins) clean(sites []int) (cpu, gpu *forward.Clean) {
	w.t.Helper()
	var err error
	w.cpuPass, err = w.cpu.Clean(w.ctx, w.b, sites)
	w.ok(err)
	w.gpuPass, err = w.gpu.Clean(w.ctx, w.b, sites)
	w.ok(err)
	return w.cpuPass.Clean(), w.gpuPass.Clean()
}

func (w *twins) same(what string, got, want []float32, tol float64) {
	w.t.Helper()
	near(w.t, what, got, wide(want), tol)
}

// grads compares the gradients of every parameter, relative to the largest value
// of each, or to a thousandth of the largest of all where that is more (a key's
// bias has a gradient of zero and rounding), and clears them.
func (w *twins) grads(what string, tol float64) {
	w.t.Helper()
	largest := 0.0
	for _, p := range w.cpu.Params() {
		for _, g := range p.Grad {
			largest = max(largest, math.Abs(float64(g)))
		}
	}
	for i, p := range w.cpu.Params() {
		q := w.gpu.Params()[i]
		top, worst := 1e-3*largest, 0.0
		for j := range p.Grad {
			top = max(top, math.Abs(float64(p.Grad[j])))
			worst = max(worst, math.Abs(float64(p.Grad[j]-q.Grad[j])))
		}
		if !(worst <= tol*top) {
			w.t.Fatalf("%s: gradient of %s is off by %.2e of %.2e", what, p.Name, worst, top)
		}
		clear(p.Grad)
		clear(q.Grad)
	}
}

// queries is pairs directions of every image, both signs, and their terms.
func queries(images, pairs int) (q []forward.Query, terms []forward.Term) {
	g := noise.Rand(5, noise.Test)
	for i := 0; i < images; i++ {
		for p := 0; p < pairs-i%2; p++ { // an unequal allocation
			q = append(q, forward.Query{Image: int32(i), Pair: int32(p), Sign: 1}, forward.Query{Image: int32(i),
				Pair: int32(p), Sign: -1})
			terms = append(terms, forward.Term{Image: int32(i), Pair: int32(p), Coef: float32(g.Normal())})
		}
	}
	return q, terms
}

// all lists 0 to n−1.
func all(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// mapped are the sites that are linear maps; outputs of blocks come after them.
func mapped(sites []forward.Site) (out []int) {
	for i, s := range sites {
		if s.Kind != vit.Residual {
			out = append(out, i)
		}
	}
	return out
}

// TestModelIsTheCPUs runs a clean pass, the suffix of every site and its
// gradient on both, for two networks and both masks. Tolerances: float32 sums
// in another order over at most 65 tokens and two blocks.
func TestModelIsTheCPUs(t *testing.T) {
	type twin struct {
		name         string
		arch         vit.Architecture
		images, pair int
		mask         bool
		slots        int
	}
	var cases []twin
	for _, name := range slices.Sorted(maps.Keys(families)) {
		cases = append(cases, twin{name, families[name], 2, 2, true, 0}, twin{name + " unmasked", families[name], 2, 1,
			false, 0})
	}
	for _, c := range append(cases, []twin{{"tiny", tiny, 5, 3, true, 2}, {"tiny unmasked", tiny, 3, 2, false, 0},
		{"65 tokens", tokens65, 2, 2, true, 0},
		{"without q, k and v biases", noBias, 3, 2, true, 2},
		{"CLIP's tower", clip, 3, 2, true, 2}, {"CLIP's tower unmasked, with a classifier", clipClasses, 3, 2, false,
			0}}...) {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.name == "65 tokens" {
				t.Skip("long")
			}
			w := newTwins(t, c.arch, c.images, c.mask, Options{Slots: c.slots})
			sites := mapped(w.cpu.Sites())
			cpu, gpu := w.clean(sites)
			w.same("losses", gpu.Losses, cpu.Losses, 1e-4)
			w.same("logits", gpu.Logits, cpu.Logits, 1e-4)
			w.same("features", gpu.Features, cpu.Features, 1e-4)
			q, terms := queries(c.images, c.pair)
			for _, s := range sites {
				site := w.cpu.Sites()[s]
				near(t, "norms of "+site.Name, gpu.InputSq[s], wide(cpu.InputSq[s]), 1e-4)
				p := &forward.Perturbation{Step: 3, Sites: []int{s}, Sigma: []float32{0.05}}
				w.losses(p, q, site.Name)
				w.ok(w.cpuPass.Accumulate(w.ctx, p, terms))
				w.ok(w.gpuPass.Accumulate(w.ctx, p, terms))
				w.grads(site.Name, 1e-4)
			}
		})
	}
}

// losses compares the losses of queries and, as the issue asks, the differences
// c of the pairs.
func (w *twins) losses(p *forward.Perturbation, q []forward.Query, what string) {
	w.t.Helper()
	want, got := make([]float32, len(q)), make([]float32, len(q))
	w.ok(w.cpuPass.Losses(w.ctx, p, q, want))
	w.ok(w.gpuPass.Losses(w.ctx, p, q, got))
	w.same(what, got, want, 1e-4)
	worst, top, least := 0.0, 0.0, 0.0
	for i := 0; i < len(q); i += 2 {
		a, b := float64(want[i]-want[i+1]), float64(got[i]-got[i+1])
		top, worst = max(top, math.Abs(a)), max(worst, math.Abs(a-b))
		least = max(least, 5e-7*math.Abs(float64(want[i]))) // two losses of 24 bits are as far apart
	}
	if worst > max(1e-2*top, least) {
		w.t.Errorf("%s: differences of pairs are off by %.2e of %.2e", what, worst, top)
	}
}

// TestJoint has every site noisy in one forward, whose inputs then depend on
// the noise.
func TestJoint(t *testing.T) {
	each(t, func(t *testing.T, a vit.Architecture) { jointCase(newTwins(t, a, 3, true, Options{})) }, tiny, noBias,
		clipClasses,
		families["mixed"], families["turned"])
}

// each runs a case for one network after another: the host's stand-in for cuBLAS
// holds one at a time.
func each(t *testing.T, run func(*testing.T, vit.Architecture), nets ...vit.Architecture) {
	for i, a := range nets {
		t.Run(fmt.Sprint("network ", i), func(t *testing.T) { run(t, a) })
	}
}

func jointCase(w *twins) {
	sites := mapped(w.cpu.Sites())
	w.clean(sites)
	sigma := make([]float32, len(sites))
	for i := range sigma {
		sigma[i] = 0.01 * float32(1+i%3)
	}
	p := &forward.Perturbation{Step: 8, Sites: sites, Sigma: sigma}
	q, terms := queries(w.b.Size, 3)
	w.losses(p, q, "joint")
	for i := range terms {
		terms[i].Sign = int8(1 - 2*(i%2))
	}
	w.ok(w.cpuPass.Accumulate(w.ctx, p, terms))
	w.ok(w.gpuPass.Accumulate(w.ctx, p, terms))
	w.grads("joint", 2e-4)
}

// TestWeights perturbs every parameter and finds nothing of it left.
func TestWeights(t *testing.T) {
	each(t, func(t *testing.T, a vit.Architecture) {
		for _, exact := range []bool{false, true} { // by losses, and by the slope at the outputs
			t.Run(fmt.Sprintf("exact %v", exact), func(t *testing.T) { // the library is closed before it is opened anew
				weightsCase(newTwins(t, a, 4, true, Options{Slots: 3, Exact: exact}))
			})
		}
	}, tiny, clip)
}

func weightsCase(w *twins) {
	before, _ := w.clean(nil)
	params := all(len(w.cpu.Params()))
	p := &forward.Perturbation{Kind: forward.Weights, Step: 2, Sigma: []float32{0.01}, Params: params}
	q, terms := queries(w.b.Size, 3)
	_, err := w.gpu.Evaluate(w.ctx, &forward.Batch{Size: 1, Inputs: random(144, 77), Labels: []int32{0}})
	w.ok(err) // leaves other images on the device
	w.losses(p, q, "weights")
	w.ok(w.cpuPass.Accumulate(w.ctx, p, terms))
	w.ok(w.gpuPass.Accumulate(w.ctx, p, terms))
	w.grads("weights", 1e-4)
	_, after := w.clean(nil)
	w.same("losses afterwards", after.Losses, before.Losses, 1e-4)
	first, err := w.gpu.Clean(w.ctx, w.b, nil)
	w.ok(err)
	w.ok(first.Losses(w.ctx, p, q, make([]float32, len(q))))
	second, err := w.gpu.Clean(w.ctx, w.b, nil)
	w.ok(err)
	equal(w.t, "restored losses", second.Clean().Losses, first.Clean().Losses)
	if err := first.Losses(w.ctx, p, q, make([]float32, len(q))); err != forward.ErrStale {
		w.t.Errorf("an earlier pass is asked: %v", err)
	}
}

func TestBackward(t *testing.T) {
	each(t, func(t *testing.T, a vit.Architecture) { backwardCase(newTwins(t, a, 5, true, Options{Slots: 2})) }, tiny, noBias, clip)
	each(t, func(t *testing.T, a vit.Architecture) { backwardCase(newTwins(t, a, 2, true, Options{Slots: 2})) },
		slices.Collect(maps.Values(families))...)
}

func backwardCase(w *twins) {
	c1, err := w.cpu.Backward(w.ctx, w.b)
	w.ok(err)
	c2, err := w.gpu.Backward(w.ctx, w.b)
	w.ok(err)
	w.same("losses", c2.Losses, c1.Losses, 1e-4)
	w.grads("backward", 2e-4)
}

// TestTwentySteps trains the classifier and the last block by plain descent on
// both and compares the losses of every step.
func TestTwentySteps(t *testing.T) { stepsCase(newTwins(t, tiny, 4, true, Options{}), 20) }

func stepsCase(w *twins, steps uint32) {
	n := len(mapped(w.cpu.Sites()))
	sites := []int{n - 2, n - 1}
	q, _ := queries(w.b.Size, 2)
	for step := uint32(0); step < steps; step++ {
		cpu, gpu := w.clean(sites)
		w.same(fmt.Sprintf("losses of step %d", step), gpu.Losses, cpu.Losses, 1e-3)
		for _, s := range sites {
			p := &forward.Perturbation{Step: step, Sites: []int{s}, Sigma: []float32{0.05}}
			w.step(p, q, w.cpuPass)
			w.step(p, q, w.gpuPass)
		}
		for _, m := range []query.Model{w.cpu, w.gpu} {
			for _, p := range m.Params() {
				for j, g := range p.Grad {
					p.Data[j] -= 0.02 * g
				}
				clear(p.Grad)
			}
			m.Touch()
		}
	}
}

func (w *twins) step(p *forward.Perturbation, q []forward.Query, m forward.Pass) {
	w.t.Helper()
	loss := make([]float32, len(q))
	w.ok(m.Losses(w.ctx, p, q, loss))
	var terms []forward.Term
	for i := 0; i < len(q); i += 2 {
		terms = append(terms, forward.Term{Image: q[i].Image, Pair: q[i].Pair,
			Coef: (loss[i] - loss[i+1]) / (2 * p.Sigma[0]) / float32(len(q)/2)})
	}
	w.ok(m.Accumulate(w.ctx, p, terms))
}
