package cuda

import (
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"gorgonia.org/gorgonia"
)

// TestUnknownOp finds no kernel for an op of Gorgonia's own: an error that
// names it, and nothing computed.
func TestUnknownOp(t *testing.T) {
	net, _ := network(t, tiny, 1, false)
	p, err := net.Outline().Program(1, &vit.Forward{})
	if err != nil {
		t.Fatal(err)
	}
	n := gorgonia.Must(gorgonia.Tanh(p.Logits))
	_, err = Compile(NewDevice(newHostDriver(t), Noise{}), p, Use{}, n)
	if err == nil || !strings.Contains(err.Error(), "tanh") {
		t.Errorf("an op without a kernel gives %v", err)
	}
}

// TestEveryKindHasAKernel lists internal/vit's ops: a new one must be known here.
func TestEveryKindHasAKernel(t *testing.T) {
	for _, kind := range []string{vit.OpPatches, vit.OpEmbed, vit.OpLinear, vit.OpNorm, vit.OpAct, vit.OpAttention,
		vit.OpRows, vit.OpPerturb,
		vit.OpLoss, vit.OpEmbedGrad, vit.OpLinearDX, vit.OpLinearDW, vit.OpColSum, vit.OpNormDX, vit.OpNormDG, vit.OpActGrad,
		vit.OpAttentionGrad, vit.OpPart, vit.OpRowsGrad, vit.OpLossGrad, vit.OpScale, vit.OpProduct, vit.OpMean, vit.OpPool,
		vit.OpRepeat, vit.OpTurn, vit.OpBias, vit.OpScaleDX, vit.OpScaleDG, vit.OpProductGrad, vit.OpMeanGrad, vit.OpPoolGrad,
		vit.OpBiasGrad} {
		if builders[kind] == nil {
			t.Errorf("no kernel for %s", kind)
		}
	}
}

// TestOnlyLossesComeBack counts the copies of a step: the queries of a suffix
// cost one download, however many micro-batches they take, and upload a few
// numbers each but no activation.
func TestOnlyLossesComeBack(t *testing.T) {
	w := newTwins(t, tiny, 4, true, Options{})
	if w.host == nil {
		t.Skip("counted on the host")
	}
	w.clean([]int{8})
	q, terms := queries(4, 4)
	p := &forward.Perturbation{Step: 1, Sites: []int{8}, Sigma: []float32{0.1}}
	out := make([]float32, len(q))
	w.host.copies = map[string]int{}
	w.ok(w.gpuPass.Losses(w.ctx, p, q, out))
	if n := w.host.copies["download"]; n != 1 {
		t.Errorf("%d downloads for the losses of one list", n)
	}
	if n := w.host.copies["upload"]; n != 5 {
		t.Errorf("%d uploads, want the four arrays of the queries and the scales", n)
	}
	w.host.copies = map[string]int{}
	w.ok(w.gpuPass.Accumulate(w.ctx, p, terms))
	if n := w.host.copies["download"]; n != 2 {
		t.Errorf("%d downloads for the gradient of a weight and a bias", n)
	}
}

// TestHostObjective evaluates an objective that is not the device's from the
// logits.
func TestHostObjective(t *testing.T) {
	o, err := objective.New("accuracy")
	if err != nil {
		t.Fatal(err)
	}
	w := newTwins(t, tiny, 5, true, Options{Loss: o})
	n := len(mapped(w.cpu.Sites()))
	cpu, gpu := w.clean([]int{n - 1})
	near(t, "losses", gpu.Losses, wide(cpu.Losses), 0)
	q, _ := queries(5, 3)
	p := &forward.Perturbation{Step: 1, Sites: []int{n - 1}, Sigma: []float32{3}}
	want, got := make([]float32, len(q)), make([]float32, len(q))
	w.ok(w.cpuPass.Losses(w.ctx, p, q, want))
	w.ok(w.gpuPass.Losses(w.ctx, p, q, got))
	near(t, "losses of queries", got, wide(want), 0)
	if _, err := w.gpu.Backward(w.ctx, w.b); err == nil {
		t.Error("an objective without a gradient on the device was differentiated")
	}
}

// TestPlanReusesMemory checks the first fit: values that live at once do not
// overlap.
func TestPlanReusesMemory(t *testing.T) {
	net, _ := network(t, tiny, 1, false)
	p, err := net.Outline().Program(3, &vit.Forward{Split: true, Features: true})
	if err != nil {
		t.Fatal(err)
	}
	order, last := vit.Schedule(p.Graph, p.Kept...)
	places, top := vit.Place(order, last, alignment/4)
	var sum int64
	for i, n := range order {
		sum += places[n].Len
		for _, o := range order[:i] {
			a, b := places[n], places[o]
			if last[o] >= i && a.At < b.At+b.Len && b.At < a.At+a.Len {
				t.Fatalf("%s lies over %s, which is read later", n, o)
			}
		}
	}
	if top >= sum {
		t.Errorf("room for %d values, for %d in all: nothing was reused", top, sum)
	}
}

// TestHostCoupled: queries under an objective that couples the images of a batch
// answer as on the CPU, whatever is evaluated between.
func TestHostCoupled(t *testing.T) {
	o, err := objective.NewContrastive(objective.Options{Texts: random(5*4, 9), Width: 4,
		Own: objective.Pairing.With(nil, "class")})
	if err != nil {
		t.Fatal(err)
	}
	w := newTwins(t, tiny, 5, true, Options{Loss: o, Slots: 2})
	n := len(mapped(w.cpu.Sites()))
	cpu, gpu := w.clean([]int{n - 2})
	near(t, "losses", gpu.Losses, wide(cpu.Losses), 1e-4)
	_, err = w.gpu.Evaluate(w.ctx, &forward.Batch{Size: 1, Inputs: random(144, 77), Labels: []int32{3}})
	w.ok(err)
	q, _ := queries(5, 3)
	w.losses(&forward.Perturbation{Step: 1, Sites: []int{n - 2}, Sigma: []float32{0.3}}, q, "site")
	w.losses(&forward.Perturbation{Kind: forward.Weights, Step: 1, Params: []int{0, 5}, Sigma: []float32{0.05}}, q,
		"weights")
	c, err := w.gpu.Evaluate(w.ctx, &forward.Batch{Size: 1, Inputs: random(144, 77)})
	w.ok(err)
	if c.Losses != nil || c.Loss != nil || len(c.Logits) != 4 {
		t.Errorf("a batch without labels: %+v", c)
	}
}

// TestDeepPromptsAreRefused: a network that has no kernel for an op is refused by name
// when it is opened.
func TestDeepPromptsAreRefused(t *testing.T) {
	deep := vit.Timm(tiny, false)
	deep.Deep = true
	n, _ := network(t, deep, 1, false)
	d := newHostDriver(t)
	_, err := NewModel(d, n, Options{Loss: objective.CE{}})
	if u, ok := uierr.As(err); !ok || !strings.Contains(u.What, "prompt tokens in every block") {
		t.Errorf("it is opened: %v", err)
	}
}
