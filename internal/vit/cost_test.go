package vit

import (
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
)

// The backward of everything is two products per forward product, less the one
// that would lead to the pixels; what is frozen below the trained part is free.
func TestBackwardFLOPs(t *testing.T) {
	a := Arch{Image: 32, Patch: 4, Chans: 3, Hidden: 128, Layers: 3, Heads: 4, MLP: 512, Classes: 5}
	w, err := NewWeights(a)
	if err != nil {
		t.Fatal(err)
	}
	n := NewNet(w)
	train := func(names ...string) int64 {
		for _, p := range n.params {
			p.Grad = nil
			for _, s := range names {
				if strings.HasPrefix(p.Name, s) {
					p.Grad = make([]float32, len(p.Data))
				}
			}
		}
		return n.BackwardFLOPs()
	}
	last := a.blockFLOPs(2)
	maps := last - a.attnFLOPs(2)
	into := mm(1, a.Hidden, a.Hidden) + 2*mm(a.Tokens(), a.Hidden, a.Hidden) // query, key and value
	for _, c := range []struct {
		what  string
		names []string
		want  int64
	}{
		{"nothing", nil, 0},
		{"everything", []string{""}, 2*a.forwardFLOPs() - a.patchFLOPs()},
		{"classifier", []string{"classifier"}, a.headFLOPs()},
		{"final norm", []string{"vit.layernorm"}, a.headFLOPs()},
		{"last block and classifier", []string{"vit.encoder.layer.2.attention", "vit.encoder.layer.2.intermediate",
			"vit.encoder.layer.2.output", "classifier"},
			2*maps - into + 2*a.attnFLOPs(2) + 2*a.headFLOPs()},
		{"cls token", []string{"vit.embeddings.cls_token"},
			2*a.forwardFLOPs() - 2*a.patchFLOPs() - a.headFLOPs() - a.mapFLOPs()},
	} {
		if got := train(c.names...); got != c.want {
			t.Errorf("%s: %d FLOPs, want %d", c.what, got, c.want)
		}
	}
}

// The costs that the outline reads off a forward are those of these closed forms.
func TestCosts(t *testing.T) {
	for _, a := range []Arch{
		{Image: 32, Patch: 4, Chans: 3, Hidden: 128, Layers: 3, Heads: 4, MLP: 512, Classes: 5},
		{Image: 12, Patch: 4, Chans: 1, Hidden: 20, Layers: 1, Heads: 2, MLP: 28, Classes: 4, Prompts: 2, NoQKVBias: true},
	} {
		w, err := NewWeights(a)
		if err != nil {
			t.Fatal(err)
		}
		n := NewNet(w)
		if got := n.ForwardFLOPs(); got != a.forwardFLOPs() {
			t.Errorf("a forward of %d FLOPs, want %d", got, a.forwardFLOPs())
		}
		for l := range a.Layers + 1 {
			if got := n.out.from(l); got != a.flopsFrom(l) {
				t.Errorf("from block %d %d FLOPs, want %d", l, got, a.flopsFrom(l))
			}
		}
		for _, s := range n.Sites() {
			want := a.suffixFLOPs(s.Block, s.Kind)
			switch s.Kind {
			case Residual:
				want = a.suffixFLOPs(s.Block, MLPOut)
			case PatchEmbed:
				want = a.forwardFLOPs() - a.patchFLOPs()
			case Classifier:
				want = 0
			}
			if s.FLOPs != want {
				t.Errorf("%s: a suffix of %d FLOPs, want %d", s.Name, s.FLOPs, want)
			}
			rows, live := a.Tokens(), a.Tokens()
			switch {
			case s.Kind == PatchEmbed:
				rows, live = a.Patches(), a.Patches()
			case s.Kind == Classifier:
				rows, live = 1, 1
			case s.Kind == Residual:
				rows, live = 1, 1
			case s.Block == a.Layers-1 && s.Kind != Key && s.Kind != Value:
				live = 1
			}
			if s.Rows != rows || s.Live != live {
				t.Errorf("%s: %d rows, %d of them live, want %d and %d", s.Name, s.Rows, s.Live, rows, live)
			}
		}
	}
}

// TestLayerCosts: with everything trained a block, computed again, and its derivative take
// three products for each of the block's; at the row that is read alone all but keys and
// values are of one row. What is left below are the derivatives by what maps and attention
// read, and what makes the tokens comes with the lowest block.
func TestLayerCosts(t *testing.T) {
	m, _, sites, _ := layered(t, 3, 1)
	a := Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 16, Layers: 3, Heads: 2, MLP: 24, Classes: 3}
	row := a.blockFLOPs(2) // which is computed of one row anyway
	below := row + a.attnFLOPs(2)
	for i, site := range sites {
		l, _ := m.Layer(site)
		want := forward.Layer{RowFLOPs: 3 * row, AllFLOPs: 3 * a.blockFLOPs(i), BelowFLOPs: below, AgainFLOPs: row}
		if i == 0 {
			want.RowFLOPs, want.AllFLOPs = want.RowFLOPs+below+2*a.patchFLOPs(), want.AllFLOPs+2*a.patchFLOPs()
		}
		if l.RowFLOPs != want.RowFLOPs || l.AllFLOPs != want.AllFLOPs || l.BelowFLOPs != want.BelowFLOPs ||
			l.AgainFLOPs != want.AgainFLOPs {
			t.Errorf("block %d: %d at the row, %d at all, %d below and %d again, want %d, %d, %d and %d", i, l.RowFLOPs,
				l.AllFLOPs, l.BelowFLOPs, l.AgainFLOPs, want.RowFLOPs, want.AllFLOPs, want.BelowFLOPs, want.AgainFLOPs)
		}
	}
}

func (a Arch) patchFLOPs() int64 { return mm(a.Patches(), a.Hidden, a.PatchLen()) }

// blockRows is the number of rows that block l computes after its attention.
func (a Arch) blockRows(l int) int {
	if l == a.Layers-1 {
		return 1
	}
	return a.Tokens()
}

func (a Arch) attnFLOPs(l int) int64 { return 2 * mm(a.blockRows(l), a.Tokens(), a.Hidden) }

func (a Arch) tailFLOPs(l int) int64 { return 2 * mm(a.blockRows(l), a.MLP, a.Hidden) }

func (a Arch) blockFLOPs(l int) int64 {
	r := a.blockRows(l)
	return mm(r, a.Hidden, a.Hidden)*2 + mm(a.Tokens(), a.Hidden, a.Hidden)*2 + a.attnFLOPs(l) + a.tailFLOPs(l)
}

func (a Arch) headFLOPs() int64 { return mm(1, a.Classes, a.Hidden) }

// forwardFLOPs is the cost of one clean forward of one image.
func (a Arch) forwardFLOPs() int64 {
	n := a.patchFLOPs() + a.headFLOPs()
	for l := 0; l < a.Layers; l++ {
		n += a.blockFLOPs(l)
	}
	return n
}

// flopsFrom is the cost of a forward that starts at what goes into a block.
func (a Arch) flopsFrom(l int) int64 {
	if l == 0 {
		return a.forwardFLOPs()
	}
	n := a.headFLOPs()
	for ; l < a.Layers; l++ {
		n += a.blockFLOPs(l)
	}
	return n
}

// suffixFLOPs is the cost of what follows a noisy site of block l.
func (a Arch) suffixFLOPs(l int, kind string) int64 {
	r := a.blockRows(l)
	n := a.headFLOPs()
	for j := l + 1; j < a.Layers; j++ {
		n += a.blockFLOPs(j)
	}
	switch kind {
	case Query, Key, Value:
		n += a.attnFLOPs(l) + mm(r, a.Hidden, a.Hidden) + a.tailFLOPs(l)
	case AttnOut:
		n += a.tailFLOPs(l)
	case MLPIn:
		n += a.tailFLOPs(l) / 2
	}
	return n
}

// mapFLOPs are the products of the weights of all blocks.
func (a Arch) mapFLOPs() int64 {
	var n int64
	for l := range a.Layers {
		n += a.blockFLOPs(l) - a.attnFLOPs(l)
	}
	return n
}
