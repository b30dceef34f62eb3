package vit

import (
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

// TestBlind: the bias of keys moves nothing, unless a norm or a rotation follows the map;
// that of other maps does.
func TestBlind(t *testing.T) {
	a := Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 16, Layers: 2, Heads: 2, MLP: 24, Classes: 3, Eps: 1e-6}
	normed := ViT(a)
	normed.QKNorm = true
	turned := ViT(a)
	turned.Rope = 100
	for name, e := range map[string]Encoder{"plain": ViT(a), "norm of keys": normed, "rotation": turned} {
		n := NewNet(drawn(t, e, 1, 1))
		for i, s := range n.Sites() {
			if want := s.Kind == Key && name == "plain"; n.Blind(i) != want {
				t.Errorf("%s: blind to %s: %v", name, s.Name, n.Blind(i))
			}
		}
	}
}

// TestDirect: a group makes one site of its numbers, of which more of the network comes
// after the first; what no noise can be added to is refused.
func TestDirect(t *testing.T) {
	a := Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 16, Layers: 2, Heads: 2, MLP: 24, Classes: 3, Prompts: 2, Eps: 1e-6}
	n := NewNet(drawn(t, a, 1, 1))
	before, at := len(n.Sites()), func(name string) int { return n.Index(name) }
	groups := [][]int{{at("vit.encoder.layer.1.output.dense.bias")},
		{at("vit.encoder.layer.0.layernorm_before.weight"), at("vit.encoder.layer.0.layernorm_before.bias")},
		{at("prompt.tokens")}}
	got, err := n.Direct(groups)
	testkit.Must(t, err)
	if len(got) != 3 || len(n.Sites()) != before+3 {
		t.Fatalf("sites %v of %d", got, len(n.Sites()))
	}
	for k, want := range []struct {
		kind string
		out  int
	}{{Norm, 32}, {Tokens, 32}, {Bias, 16}} {
		s := n.Sites()[got[k]]
		if s.Kind != want.kind || s.Out != want.out || s.Rows != 1 || len(s.Params()) == 0 {
			t.Errorf("site %d is %+v", k, s)
		}
	}
	if first, last := n.Sites()[got[0]], n.Sites()[got[2]]; first.FLOPs <= last.FLOPs || last.FLOPs <= 0 {
		t.Errorf("%d operations after the first, %d after the last", first.FLOPs, last.FLOPs)
	}
	if _, err := n.Direct([][]int{{at("vit.embeddings.cls_token")}}); err == nil {
		t.Error("noise on the cls token itself")
	}
}
