package cuda

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// TestCostIsTheCPUs: a step of every estimator, under each of its schedules, with
// all of the network trained and with its last block alone, is charged the same
// queries and operations on both devices, and gives the same gradient.
func TestCostIsTheCPUs(t *testing.T) {
	src := noise.Gaussian(seed)
	for _, from := range []int{0, 1} { // the first block that is trained
		for _, name := range lr.Names() {
			schedules := lr.Schedules(name)
			if len(schedules) == 0 {
				schedules = []string{""}
			}
			for _, schedule := range schedules {
				t.Run(fmt.Sprintf("%s %s from block %d", name, schedule, from), func(t *testing.T) {
					o := lr.Options{Schedule: schedule, Antithetic: true, Sigma: 0.05, Noise: src, Own: lr.Plain()}
					costCase(newTwins(t, tiny, 3, true, Options{}), name, o, from)
				})
			}
		}
	}
}

// costCase takes one step of an estimator on both devices.
func costCase(w *twins, name string, o lr.Options, from int) {
	w.t.Helper()
	var spent [2]lr.Cost
	for i, m := range []query.Differentiable{w.cpu, w.gpu} {
		o.Sites, o.Params = train(m, name, from)
		e, err := lr.New(name, m, o)
		w.ok(err)
		spent[i] = w.estimate(e, m)
	}
	if spent[0] != spent[1] || spent[0].FLOPs == 0 {
		w.t.Errorf("%+v on the CPU, %+v on the device", spent[0], spent[1])
	}
	w.grads("gradient", 1e-2) // differences of losses, over σ
}

// train gives gradients to a model's parameters from a block on, and lists the
// sites and the parameters that an estimator of that name perturbs.
func train(m query.Model, name string, from int) (sites, params []int) {
	mapped := map[int]bool{}
	for i, s := range m.Sites() {
		if s.Kind != vit.Residual && (s.Kind == vit.Classifier || s.Block >= from || from == 0) {
			sites = append(sites, i)
			for _, p := range s.Params() {
				mapped[p] = true
			}
		}
	}
	for i, p := range m.Params() {
		trained := from == 0 || p.Block >= from || strings.HasPrefix(p.Name, vit.Classifier)
		if p.Grad = nil; trained {
			p.Grad = make([]float32, len(p.Data))
		}
		if trained && (name != "activation" || !mapped[i]) {
			params = append(params, i)
		}
	}
	return sites, params
}

// estimate makes the gradient of one step and says what it cost.
func (w *twins) estimate(e lr.Estimator, m query.Model) lr.Cost {
	s, err := lr.Prepare(w.ctx, m, e, 2, w.b)
	w.ok(err)
	s.Counts = []int{4, 2, 6}
	r, err := lr.Ask(w.ctx, m, e, s)
	w.ok(err)
	_, err = lr.Apply(w.ctx, m, e, s, r.Records)
	w.ok(err)
	return lr.Cost{Queries: r.Queries, FLOPs: r.FLOPs}
}

// TestWeightQueriesStartLate: queries of the last block's weights launch fewer
// kernels than those of all weights, and see what lies below as it was.
func TestWeightQueriesStartLate(t *testing.T) {
	launches := func(from int) int {
		n := 0
		w := twinsOn(t, counted{newHostDriver(t), &n}, tiny, 3, true, Options{})
		var params []int
		for _, m := range []query.Model{w.cpu, w.gpu} {
			_, params = train(m, "weight", from)
		}
		w.clean(nil)
		q := []forward.Query{{Image: 2, Sign: 1}, {Image: 0, Sign: -1}, {Image: 1, Pair: 1, Sign: 1}}
		cpu, gpu := make([]float32, len(q)), make([]float32, len(q))
		p := &forward.Perturbation{Kind: forward.Weights, Step: 1, Sigma: []float32{0.05},
			Params: params[len(params)-1:]}
		w.ok(w.gpuPass.Losses(w.ctx, p, q, gpu)) // compiles
		n = 0
		w.ok(w.gpuPass.Losses(w.ctx, p, q, gpu))
		got := n
		w.ok(w.cpuPass.Losses(w.ctx, p, q, cpu))
		w.same("losses", gpu, cpu, 1e-4)
		p.Params = []int{0} // below every block
		w.ok(w.gpuPass.Losses(w.ctx, p, q, gpu))
		w.ok(w.cpuPass.Losses(w.ctx, p, q, cpu))
		w.same("losses of what lies below", gpu, cpu, 1e-4)
		return got
	}
	if whole, late := launches(0), launches(1); late >= whole {
		t.Errorf("%d kernels from the last block on, %d from the images", late, whole)
	}
}
