package vit

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
)

// memory keeps every image of a batch under its index, and takes the images out
// of the batch until they are asked for.
type memory struct {
	b      *forward.Batch
	images []float32
	kept   map[int32][]float32
	filled int
}

func remember(b *forward.Batch, kept map[int32][]float32) (*forward.Batch, *memory) {
	own := *b
	m := &memory{images: b.Inputs, kept: kept, b: &own}
	own.Inputs, own.Memory = make([]float32, len(b.Inputs)), m
	return &own, m
}

func (m *memory) Recall(i int) ([]float32, error) { return m.kept[m.b.Index[i]], nil }

func (m *memory) Keep(i int, made []float32) error {
	m.kept[m.b.Index[i]] = slices.Clone(made)
	return nil
}

func (m *memory) Fill(items []int) error {
	if items == nil {
		items = make([]int, m.b.Size)
		for i := range items {
			items[i] = i
		}
	}
	n := len(m.images) / m.b.Size
	for _, i := range items {
		copy(m.b.Inputs[i*n:(i+1)*n], m.images[i*n:(i+1)*n])
		m.filled++
	}
	return nil
}

// TestRecall: whatever is trained, what a model answers of images of which the
// lower part is kept is bit for bit what it answers of the images, and no image is
// decoded twice.
func TestRecall(t *testing.T) {
	ctx := context.Background()
	for name, train := range map[string][]string{
		"classifier": {"classifier.weight", "classifier.bias"},
		"last block": {"vit.encoder.layer.1.intermediate.dense.weight", "classifier.bias"},
		"with norms": {"vit.encoder.layer.1.layernorm_before.weight", "vit.encoder.layer.1.output.dense.weight"},
		"two blocks": {"vit.encoder.layer.1.attention.attention.key.weight", "vit.layernorm.bias"},
		"everything": {"vit.embeddings.cls_token", "classifier.weight"},
	} {
		for _, masked := range []bool{true, false} {
			plain := answersOf(t, ctx, train, masked, nil)
			kept := map[int32][]float32{}
			for visit := range 2 {
				got := answersOf(t, ctx, train, masked, kept)
				for i := range plain.numbers {
					if !slices.Equal(got.numbers[i], plain.numbers[i]) {
						t.Fatalf("%s, masked %v, visit %d: numbers %d are %v, and %v of the images", name, masked, visit, i,
							got.numbers[i], plain.numbers[i])
					}
				}
				if name == "everything" {
					if len(kept) != 0 {
						t.Errorf("%s: %d images are kept", name, len(kept))
					}
				} else if got.filled != 8*(1-visit) {
					t.Errorf("%s, visit %d: %d images decoded", name, visit, got.filled)
				}
			}
		}
	}
}

type answers struct {
	numbers [][]float32
	filled  int
}

// answersOf are those of a new model of a network of which the named parameters
// are trained: a gradient, a pass with queries at sites and of weights and their
// gradients, and an evaluation in between.
func answersOf(t *testing.T, ctx context.Context, train []string, masked bool, kept map[int32][]float32) (a answers) {
	t.Helper()
	n, b := small(t, 5)
	_, other := small(t, 3)
	b.Index, other.Index = []int32{4, 3, 2, 1, 0}, []int32{7, 8, 9}
	mems := []*memory{}
	if kept != nil {
		for _, x := range []**forward.Batch{&b, &other} {
			own, m := remember(*x, kept)
			*x, mems = own, append(mems, m)
		}
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var params, sites []int
	for i, p := range n.params {
		if p.Grad = nil; slices.Contains(train, p.Name) {
			p.Grad = make([]float32, len(p.Data))
			params = append(params, i)
		}
	}
	for i, s := range n.sites {
		if slices.ContainsFunc(s.Params(), func(p int) bool { return slices.Contains(params, p) }) {
			sites = append(sites, i)
		}
	}
	m := NewModel(n, Options{Threads: 2, Loss: objective.CE{}, Noise: source(t), Mask: masked})
	note := func(c *forward.Clean) { a.numbers = append(a.numbers, c.Losses, c.Logits, c.Features) }
	grads := func() {
		for _, i := range params {
			a.numbers = append(a.numbers, slices.Clone(n.params[i].Grad))
			clear(n.params[i].Grad)
		}
	}
	evaluate := func() {
		c, err := m.Evaluate(ctx, other)
		ok(err)
		note(c)
	}
	c, err := m.Backward(ctx, b)
	ok(err)
	note(c)
	grads()
	evaluate()
	p, err := m.Clean(ctx, b, sites)
	ok(err)
	note(p.Clean())
	a.numbers = append(a.numbers, p.Clean().InputSq...)
	q := []forward.Query{{Image: 0, Sign: 1}, {Image: 1, Sign: -1}, {Image: 4, Sign: 1}, {Image: 4, Pair: 1, Sign: -1}}
	ask := func(t *forward.Perturbation, sign int8) {
		out := make([]float32, len(q))
		ok(p.Losses(ctx, t, q, out))
		var terms []forward.Term
		for i, x := range q {
			terms = append(terms, forward.Term{Image: x.Image, Pair: x.Pair, Sign: sign * x.Sign, Coef: float32(i + 1)})
		}
		ok(p.Accumulate(ctx, t, terms))
		a.numbers = append(a.numbers, out)
		grads()
	}
	for _, s := range sites {
		ask(&forward.Perturbation{Step: 3, Sites: []int{s}, Sigma: []float32{0.1}}, 0)
	}
	if len(sites) > 1 {
		sigma := slices.Repeat([]float32{0.1}, len(sites))
		ask(&forward.Perturbation{Step: 4, Sites: sites, Sigma: sigma}, 1)
	}
	ask(&forward.Perturbation{Kind: forward.Weights, Step: 5, Params: params, Sigma: []float32{0.1}}, 0)
	ask(&forward.Perturbation{Kind: forward.Weights, Step: 6, Params: params[1:], Sigma: []float32{0.1}}, 0)
	for _, x := range mems {
		a.filled += x.filled
	}
	evaluate()
	return a
}

// TestRecallBetween: queries of weights go on after another batch was evaluated.
func TestRecallBetween(t *testing.T) {
	ctx := context.Background()
	var want []float32
	for _, kept := range []map[int32][]float32{nil, {}} {
		n, b := small(t, 5)
		_, other := small(t, 3)
		b.Index, other.Index = []int32{4, 3, 2, 1, 0}, []int32{7, 8, 9}
		if kept != nil {
			b, _ = remember(b, kept)
			other, _ = remember(other, kept)
		}
		at := n.Index("classifier.weight")
		for i, p := range n.params {
			if p.Grad = nil; i == at {
				p.Grad = make([]float32, len(p.Data))
			}
		}
		m := NewModel(n, Options{Threads: 2, Loss: objective.CE{}, Noise: source(t), Mask: true})
		p, err := m.Clean(ctx, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float32, 4)
		for i, params := range [][]int{{at}, {n.Index("vit.layernorm.bias"), at}, {0}, {at}} {
			if _, err := m.Evaluate(ctx, other); err != nil {
				t.Fatal(err)
			}
			w := &forward.Perturbation{Kind: forward.Weights, Params: params, Sigma: []float32{0.1}}
			if err := p.Losses(ctx, w, []forward.Query{{Image: 2, Sign: 1}}, out[i:i+1]); err != nil {
				t.Fatal(fmt.Sprint(params), err)
			}
		}
		if want == nil {
			want = out
		} else if !slices.Equal(out, want) {
			t.Errorf("losses %v, %v without a memory", out, want)
		}
	}
}
