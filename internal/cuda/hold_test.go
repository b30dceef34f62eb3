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
			host, device := newTwins(t, tiny, 3, true, Options{}), newTwins(t, tiny, 3, true, Options{})
			heldCase(t, name, host, device)
		})
	}
}

func heldCase(t *testing.T, name string, host, device *twins) {
	one, two := stepping(t, name), stepping(t, name).(optim.Ruled)
	if kind, kept := two.Kind(); !device.gpu.Hold(kind, kept) {
		t.Fatalf("the device takes no steps of %s", kind)
	}
	var with [2][]*forward.Param
	params := []int{3, 4, 7, 0}
	for i, w := range []*twins{host, device} {
		for j, p := range w.gpu.Params() {
			if slices.Contains(params, j) {
				continue
			}
			p.Grad = nil
		}
		for _, j := range params {
			with[i] = append(with[i], w.gpu.Params()[j])
		}
	}
	for step := range uint32(3) {
		scale := []float32{1, 0.5, 1}[step]
		for _, p := range with[0] {
			clear(p.Grad)
		}
		device.gpu.Forget()
		gradient(host, params, step)
		copies := 0
		gradient(device, params, step)
		if device.host != nil {
			copies = device.host.copies["download"]
		}
		sq, err := device.gpu.Squares(params)
		device.ok(err)
		for i, p := range with[0] {
			var want float64
			for k, g := range p.Grad {
				want += float64(g) * float64(g)
				p.Grad[k] = g * scale
			}
			if math.Abs(sq[i]-want) > 1e-12*want {
				t.Errorf("%s: the squares sum to %v on the device, %v on the host", p.Name, sq[i], want)
			}
		}
		one.Step(with[0], 0.01)
		host.gpu.Touch()
		rules := two.Rules(with[1], 0.01)
		for i := range rules {
			rules[i].Param = params[i]
		}
		sound, err := device.gpu.Update(rules, scale)
		device.ok(err)
		if !sound {
			t.Error("a sound step was not")
		}
		if device.host != nil && device.host.copies["download"] > copies+2 {
			t.Errorf("step %d: %d downloads for a step", step, device.host.copies["download"]-copies)
		}
	}
	device.ok(device.gpu.Fetch())
	tol := 0.0
	if name == "muon" || runtime.GOARCH != "amd64" { // elsewhere Go contracts a multiplication and an addition
		tol = 1e-5
	}
	for i, p := range with[0] {
		heldSame(t, p.Name, with[1][i].Data, p.Data, tol)
	}
	kept := two.State()
	for k, v := range one.State() {
		heldSame(t, k, kept[k], v, tol)
	}
	a, err := host.gpu.Evaluate(host.ctx, host.b)
	host.ok(err)
	b, err := device.gpu.Evaluate(device.ctx, device.b)
	device.ok(err)
	heldSame(t, "the losses afterwards", b.Losses, a.Losses, tol)
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
