package vit

import (
	"strings"
	"testing"
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
		{"everything", []string{""}, 2*a.ForwardFLOPs() - a.patchFLOPs()},
		{"classifier", []string{"classifier"}, a.headFLOPs()},
		{"final norm", []string{nameNorm}, a.headFLOPs()},
		{"last block and classifier", []string{blockPrefix(2) + "attention", blockPrefix(2) + "intermediate", blockPrefix(2) + "output", "classifier"},
			2*maps - into + 2*a.attnFLOPs(2) + 2*a.headFLOPs()},
		{"cls token", []string{nameCls}, 2*a.ForwardFLOPs() - 2*a.patchFLOPs() - a.headFLOPs() - a.mapFLOPs()},
	} {
		if got := train(c.names...); got != c.want {
			t.Errorf("%s: %d FLOPs, want %d", c.what, got, c.want)
		}
	}
}

// mapFLOPs are the products of the weights of all blocks.
func (a Arch) mapFLOPs() int64 {
	var n int64
	for l := range a.Layers {
		n += a.blockFLOPs(l) - a.attnFLOPs(l)
	}
	return n
}
