package cuda

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/optim"
)

// TestHeldSteps takes steps of every optimizer on the device, of sites' and of weights'
// gradients, and the same with the host's optimizer: the weights and what it keeps are
// the same bits, but for muon, whose products add in another order; and in between
// neither weights nor gradients travel.
func TestHeldSteps(t *testing.T) {
	for _, name := range optim.Names() {
		t.Run(name, func(t *testing.T) {
			var of [2]heldResult // one after the other: the host's stand-in for cuBLAS holds one model at a time
			for i, hold := range []bool{false, true} {
				t.Run(fmt.Sprint("held ", hold), func(t *testing.T) {
					of[i] = heldSteps(t, name, newTwins(t, tiny, 3, true, Options{}), hold)
				})
			}
			tol := 0.0
			if name == "muon" || runtime.GOARCH != "amd64" { // elsewhere Go contracts a multiplication and an addition
				tol = 1e-5
			}
			for key, want := range of[0].tensors {
				heldSame(t, key, of[1].tensors[key], want, tol)
			}
			for i, want := range of[0].squares {
				if got := of[1].squares[i]; math.Abs(got-want) > 1e-12*want && tol == 0 {
					t.Errorf("squares sum to %v on the device, %v on the host", got, want)
				}
			}
		})
	}
}

// heldResult is what some steps leave: weights, what is kept, losses, and on the way Σ g².
type heldResult struct {
	tensors map[string][]float32
	squares []float64
}

func heldSteps(t *testing.T, name string, w *twins, hold bool) heldResult {
	out := heldResult{tensors: map[string][]float32{}}
	o := stepping(t, name).(optim.Ruled)
	params := []int{3, 4, 7, 0}
	var with []*forward.Param
	for j, p := range w.gpu.Params() {
		if !slices.Contains(params, j) {
			p.Grad = nil
		}
	}
	for _, j := range params {
		with = append(with, w.gpu.Params()[j])
	}
	if hold && !w.gpu.Hold(o.Kind()) {
		t.Fatalf("the device takes no steps of %s", name)
	}
	for step := range uint32(3) {
		scale := []float32{1, 0.5, 1}[step]
		if hold {
			w.gpu.Forget()
			gradient(w, params, step)
			out.squares = append(out.squares, heldStep(t, w, o, with, params, scale)...)
			continue
		}
		for _, p := range with {
			clear(p.Grad)
		}
		gradient(w, params, step)
		for _, p := range with {
			var sum float64
			for k, g := range p.Grad {
				sum += float64(g) * float64(g)
				p.Grad[k] = g * scale
			}
			out.squares = append(out.squares, sum)
		}
		o.Step(with, 0.01)
		w.gpu.Touch()
	}
	if hold {
		w.ok(w.gpu.Fetch())
	}
	for _, p := range with {
		out.tensors[p.Name] = p.Data
	}
	for k, v := range o.State() {
		out.tensors[k] = v
	}
	e, err := w.gpu.Evaluate(w.ctx, w.b)
	w.ok(err)
	out.tensors["the losses afterwards"] = e.Losses
	return out
}

// heldStep takes a step on the device, for which nothing but sums comes down.
func heldStep(t *testing.T, w *twins, o optim.Ruled, with []*forward.Param, params []int, scale float32) []float64 {
	down := 0
	if w.host != nil {
		down = w.host.copies["download"]
	}
	sq, err := w.gpu.Squares(params)
	w.ok(err)
	rules := o.Rules(with, 0.01)
	for i := range rules {
		rules[i].Param = params[i]
	}
	sound, err := w.gpu.Update(rules, scale)
	w.ok(err)
	if !sound {
		t.Error("a sound step was not")
	}
	if w.host != nil && w.host.copies["download"] > down+2 {
		t.Errorf("%d downloads for a step", w.host.copies["download"]-down)
	}
	return sq
}

// stepping is an optimizer with its defaults, and decay.
func stepping(t *testing.T, name string) optim.Optimizer {
	o, err := optim.New(name, optim.Options{WeightDecay: 0.1, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// gradient makes that of a step: of parameters as weights.
func gradient(w *twins, params []int, step uint32) {
	w.clean(nil)
	p := &forward.Perturbation{Kind: forward.Weights, Step: step, Sigma: []float32{0.01}, Params: params}
	var terms []forward.Term
	for k := range 3 {
		terms = append(terms, forward.Term{Pair: int32(k), Coef: 0.1 * float32(1+k)})
	}
	w.ok(w.gpuPass.Accumulate(w.ctx, p, terms))
}

func heldSame(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tol*(1+math.Abs(float64(want[i])))) {
			t.Fatalf("%s: value %d is %v on the device, %v on the host", what, i, got[i], want[i])
		}
	}
}

// TestHeldStepOfNoNumber: a weight that a step makes infinite is told, and Release
// gives the gradients back to the host.
func TestHeldStepOfNoNumber(t *testing.T) {
	w := newTwins(t, tiny, 2, true, Options{})
	o := stepping(t, "sgd").(optim.Ruled)
	kind, kept := o.Kind()
	if !w.gpu.Hold(kind, kept) || w.gpu.Hold("none", 1) {
		t.Fatal("what is held")
	}
	w.gpu.Hold(kind, kept)
	gradient(w, []int{3}, 1)
	rules := o.Rules([]*forward.Param{w.gpu.Params()[3]}, math.MaxFloat64)
	rules[0].Param = 3
	if sound, err := w.gpu.Update(rules, 1); err != nil || sound {
		t.Errorf("an infinite step is sound: %v, %v", sound, err)
	}
	w.ok(w.gpu.Release())
	if v := w.gpu.Params()[3].Data[0]; v-v == 0 {
		t.Error(fmt.Sprint("the weight came down as ", v))
	}
	gradient(w, []int{4}, 1)
	if w.gpu.Params()[4].Grad[0] == 0 {
		t.Error("the gradient stays on the device")
	}
}
