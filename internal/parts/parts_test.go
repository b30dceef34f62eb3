package parts

import (
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/testkit"
)

// net is two blocks of a key and a gated layer, with a norm each and one after them.
func net(kinds ...string) Network {
	n := Network{Kinds: kinds, Blocks: map[int]bool{1: true}, Blind: func(i int) bool { return i%3 == 0 }}
	for b := range 2 {
		for _, kind := range []string{"key", "mlp_gate", "mlp_in"} {
			at := len(n.Params)
			n.Sites = append(n.Sites, forward.Site{Kind: kind, Block: b, Weight: at, Bias: at + 1, In: 4, Out: 6,
				Name: kind})
			n.Params = append(n.Params, &forward.Param{Role: "linear", Block: b}, &forward.Param{Role: "linear", Block: b})
		}
	}
	for b := range 3 {
		for _, name := range []string{"n.weight", "n.bias"} {
			n.Params = append(n.Params, &forward.Param{Name: name, Role: "norm", Block: []int{0, 1, -1}[b]})
		}
	}
	return n
}

// TestChoose: each part is the parameters of the chosen blocks and kinds, in the groups
// that have one noise; what there is nothing of is a mistake.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		part string
		n    Network
		want [][]int
	}{
		{"bias", net("key", "mlp_in"), [][]int{{9}, {11}}}, // not the key's; the gate's goes with its map's
		{"norm", net(), [][]int{{14, 15}, {16, 17}}},
		{"", net("key"), nil},
	} {
		got, err := Choose(c.part, c.n)
		testkit.Must(t, err)
		if !slices.EqualFunc(got.Groups, c.want, slices.Equal) {
			t.Errorf("%s: %v, want %v", c.part, got.Groups, c.want)
		}
	}
	targets := net()
	targets.Own = Targets.With(Rank.With(nil, 4), []string{"key"})
	got, err := Choose("lora", targets)
	testkit.Must(t, err)
	if len(got.Groups) != 1 || got.Groups[0][0] != 6 || got.Shared {
		t.Errorf("lora: %+v", got)
	}
	if core, err := Choose("core", targets); err != nil || len(core.Groups) != 1 || core.Groups[0][0] != 6 || core.Shared {
		t.Errorf("core: %+v, %v", core, err)
	}
	targets.Own = Rank.With(targets.Own, 5)
	for _, part := range Those(Adapts) {
		_, err = Choose(part, targets)
		testkit.Mistake(t, err, "sites.rank: 5 is more than the 4 of key")
	}
	_, err = Choose("bias", net("key"))
	testkit.Mistake(t, err, "does not depend on the biases of key")
	none := net("key")
	none.Kinds = nil
	_, err = Choose("bias", none)
	testkit.Mistake(t, err, "have no bias")
	_, err = Choose("prompt", net())
	testkit.Mistake(t, err, "no learned tokens")
	patch := net()
	patch.Patch = true
	_, err = Choose("norm", patch)
	testkit.Mistake(t, err, "sites.patch_embed")
}
