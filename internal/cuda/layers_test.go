package cuda

import (
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// deeper is tiny with three blocks, so that one has neither the images nor the
// classifier beside it.
var deeper = func() vit.Arch { a := tiny; a.Layers = 3; return a }()

// residuals are the sites that are a block's output.
func residuals(sites []forward.Site) (out []int) {
	for i, s := range sites {
		if s.Kind == vit.Residual {
			out = append(out, i)
		}
	}
	return out
}

// TestLayers: noise at the outputs of blocks, one by one and together, how all outputs
// of the network change by it, and every derivative that local feedback is made of are
// the processor's: of networks with biases and scales, with positions in the attention
// (where no rows are drawn), whose outputs are made of several rows, and in micro-batches.
func TestLayers(t *testing.T) {
	scaled := families["relative"].(vit.Encoder)
	scaled.Pool, scaled.FinalNorm, scaled.PooledNorm = vit.PoolCls, true, false
	nets := []vit.Architecture{deeper, noBias, scaled, families["turned"], families["both"], families["mixed"]}
	each(t, func(t *testing.T, a vit.Architecture) {
		layersCase(newTwins(t, a, 5, true, Options{Slots: 3}))
	}, nets...)
}

// TestLayersLazily is TestLayers on a device that does nothing until it is waited for.
func TestLayersLazily(t *testing.T) {
	layersCase(twinsOn(t, &lazy{hostDriver: newHostDriver(t)}, deeper, 5, true, Options{Slots: 2}))
}

func layersCase(w *twins) {
	w.t.Helper()
	sites := residuals(w.cpu.Sites())
	if len(sites) == 0 {
		w.t.Fatal("no block's output is a site")
	}
	w.clean(sites)
	q, _ := queries(w.b.Size, 2)
	sets := [][]int{sites}
	for _, s := range sites {
		sets = append(sets, []int{s})
	}
	for _, set := range sets {
		p := &forward.Perturbation{Kind: forward.Layers, Step: 3, Sites: set}
		for range set {
			p.Sigma = append(p.Sigma, 0.05)
		}
		w.outputs(p, q)
	}
	for b := len(sites) - 1; b >= 0; b-- {
		w.layer(sites[b])
	}
	w.top(sites[len(sites)-1])
}

// outputs compares losses and outputs of queries.
func (w *twins) outputs(p *forward.Perturbation, q []forward.Query) {
	w.t.Helper()
	w.losses(p, q, "blocks' outputs")
	var out [2][]float32
	for i, pass := range []forward.Pass{w.cpuPass, w.gpuPass} {
		out[i] = make([]float32, len(q)*w.cpuPass.Clean().Classes)
		w.ok(pass.(forward.Chained).Outputs(w.ctx, p, q, make([]float32, len(q)), out[i]))
	}
	w.same("outputs", out[1], out[0], 1e-4)
}

// layer compares what AccumulateLayer makes of a gradient at one row, at all, and at
// some that are drawn, of all of the block's parameters, one and none.
func (w *twins) layer(site int) {
	w.t.Helper()
	l, ok := w.gpu.Layer(site)
	if !ok {
		w.t.Fatal("the device has no blocks")
	}
	n := w.b.Size
	at := random(n*l.Reads*l.Width, 3)
	const k = 3
	rest, some, rows := random(n*l.Outs*l.Width, 4), random(n*k*l.Width, 5), make([]int32, n*k)
	for i := range n {
		for j := range k - 1 { // the last of each image is none
			rows[i*k+j] = int32(1 + (i+2*j)%(max(l.Outs, 2)-1))
		}
		clear(some[((i+1)*k-1)*l.Width : (i+1)*k*l.Width])
	}
	cases := map[string]forward.LayerGradient{"row": {At: at}, "all rows": {At: at, Rest: rest}}
	if l.Outs > k && l.Some && l.Reads == 1 && l.First == 0 {
		cases["drawn rows"] = forward.LayerGradient{At: at, Rest: some, Rows: rows}
	}
	adds := slices.Concat(l.Adds[0].Params, l.Adds[1].Params)
	cases["straight"] = forward.LayerGradient{At: at, Straight: true}
	for name, g := range cases {
		sets := [][]int{l.Params, l.Params[len(l.Params)-1:], nil}
		if g.Straight {
			sets = [][]int{adds}
		}
		for _, params := range sets {
			var below [2][]float32
			for i, pass := range []forward.Pass{w.cpuPass, w.gpuPass} {
				if l.Rows > 0 && !g.Straight {
					below[i] = make([]float32, n*l.Rows*l.Width)
				}
				w.ok(pass.(forward.Chained).AccumulateLayer(w.ctx, site, g, params, below[i]))
			}
			what := w.cpu.Sites()[site].Name + ", " + name
			w.same(what+" below", below[1], below[0], 1e-3)
			w.grads(what, 2e-4)
		}
	}
}

// top compares the gradient after the last block, and the outputs where something is
// added to its row.
func (w *twins) top(site int) {
	w.t.Helper()
	l, _ := w.cpu.Layer(site)
	width, C := l.Reads*l.Width, w.cpuPass.Clean().Classes
	items := make([]int32, 3*w.b.Size) // more than there are images
	for i := range items {
		items[i] = int32(i % w.b.Size)
	}
	var at, out [2][]float32
	for i, pass := range []forward.Pass{w.cpuPass, w.gpuPass} {
		c := pass.(forward.Chained)
		at[i], out[i] = make([]float32, w.b.Size*width), make([]float32, len(items)*C)
		w.ok(c.AccumulateTop(w.ctx, w.cpu.Top(), at[i]))
		w.ok(c.Above(w.ctx, items, random(len(items)*width, 8), out[i]))
	}
	w.same("after the last block", at[1], at[0], 1e-4)
	w.same("above", out[1], out[0], 1e-4)
	w.grads("after the last block", 2e-4)
	p := &forward.Perturbation{Step: 4, Sites: []int{site}, Sigma: []float32{0.05}}
	q, _ := queries(w.b.Size, 1)
	w.outputs(p, q) // the last block's output is what it was
}

// TestLayersOnATightDevice has memory for one slot of the largest graph, and long lists
// go in parts, those whose outputs are wanted in shorter ones.
func TestLayersOnATightDevice(t *testing.T) {
	defer func(n, m int) { queryRoom, outputRoom = n, m }(queryRoom, outputRoom)
	queryRoom, outputRoom = 16, 6
	sites := residuals(newTwins(t, deeper, 5, true, Options{}).cpu.Sites())
	h := newHostDriver(t)
	h.total = leastOf(t, deeper, 5, sites)
	w := twinsOn(t, h, deeper, 5, true, Options{})
	layersCase(w)
	if taken := w.gpu.Memory(); taken > h.total || taken < h.total*9/10 {
		t.Errorf("%d bytes taken of %d", taken, h.total)
	}
}

// TestTopOnATightDevice has memory for the largest graph, which is the derivative after
// the last block where there are many classes.
func TestTopOnATightDevice(t *testing.T) {
	defer func(n, m int) { queryRoom, outputRoom = n, m }(queryRoom, outputRoom)
	queryRoom, outputRoom = 16, 6
	many := deeper
	many.Classes = 8000
	sites := residuals(newTwins(t, many, 2, true, Options{}).cpu.Sites())
	h := newHostDriver(t)
	h.total = leastOf(t, many, 2, sites)
	w := twinsOn(t, h, many, 2, true, Options{})
	w.clean(sites)
	w.top(sites[len(sites)-1])
	if taken := w.gpu.Memory(); taken > h.total || taken < h.total*9/10 {
		t.Errorf("%d bytes taken of %d", taken, h.total)
	}
}

// local makes the estimator of all blocks of a model.
func local(t *testing.T, m query.Differentiable, own map[string]any) lr.Asker {
	t.Helper()
	o := lr.Options{Antithetic: true, Sigma: 0.01, Noise: noise.Gaussian(seed), Own: lr.Plain()}
	for i, s := range m.Sites() {
		if s.Kind == vit.Residual || s.Output {
			o.Sites = append(o.Sites, i)
		}
	}
	for i := range m.Params() {
		o.Params = append(o.Params, i)
	}
	o.Own["surrogate"] = "local"
	for name, v := range own {
		o.Own[name] = v
	}
	e, err := lr.New("activation", m, o)
	if err != nil {
		t.Fatal(err)
	}
	return e.(lr.Asker)
}

// TestLocalSteps trains a network by local feedback on both: six steps of descent, in
// which the Jacobians are learned, with rows drawn, all and read alone. The losses
// agree, and so do the gradients of the last step.
func TestLocalSteps(t *testing.T) {
	for name, own := range map[string]map[string]any{"drawn": {"feedback_rows": "0.5"},
		"all":  {"feedback_rows": "all", "kappa": "auto"},
		"read": {"feedback_rows": "read", "feedback_top": "learned", "kappa": "1"}} {
		t.Run(name, func(t *testing.T) {
			w := newTwins(t, deeper, 4, true, Options{Slots: 3})
			q := []query.Differentiable{w.cpu, w.gpu}
			e := []lr.Asker{local(t, w.cpu, own), local(t, w.gpu, own)}
			for step := range uint32(6) {
				var loss [2]float64
				for i, m := range q {
					s, err := lr.Prepare(w.ctx, m, e[i], step, w.b)
					w.ok(err)
					s.Counts = []int{4, 2, 6, 4}
					r, err := lr.Ask(w.ctx, m, e[i], s)
					w.ok(err)
					_, err = lr.Apply(w.ctx, m, e[i], s, r.Records)
					w.ok(err)
					for _, l := range s.Clean.Losses {
						loss[i] += float64(l)
					}
				}
				if d := math.Abs(loss[0] - loss[1]); !(d <= 1e-3*loss[0]) {
					t.Fatalf("step %d: the loss is %v on the device, %v on the processor", step, loss[1], loss[0])
				}
				if step == 5 {
					break
				}
				for _, m := range q {
					for _, p := range m.Params() {
						for j, g := range p.Grad {
							p.Data[j] -= 0.01 * g
						}
						clear(p.Grad)
					}
					m.Touch()
				}
			}
			w.grads("local feedback", 2e-2) // of differences over σ, after five steps
		})
	}
}

// TestTangentsInParts: queries of the weights whose outputs are asked for go in lists
// that there is room for.
func TestTangentsInParts(t *testing.T) {
	defer func(n int) { outputRoom = n }(outputRoom)
	outputRoom = 6
	w := newTwins(t, tiny, 4, true, Options{Exact: true})
	w.clean(nil)
	p := &forward.Perturbation{Kind: forward.Weights, Step: 2, Sigma: []float32{0.01}, Params: all(len(w.cpu.Params()))}
	q, _ := queries(w.b.Size, 3)
	w.losses(p, q, "weights")
}

// TestLayersWantALossOfTheDevice: an objective whose derivative the host has alone is
// refused by name.
func TestLayersWantALossOfTheDevice(t *testing.T) {
	w := newTwins(t, tiny, 2, true, Options{Loss: objective.Accuracy{}})
	_, err := w.gpu.Clean(w.ctx, w.b, residuals(w.gpu.Sites()))
	if _, ok := uierr.As(err); !ok {
		t.Errorf("noise at blocks' outputs under an objective of the host gives %v", err)
	}
}
