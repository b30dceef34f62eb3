package parts

import (
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

func init() { Register("norm", norms).Takes(Shared) }

// norms are the scales and shifts of the layer norms of the chosen blocks, and of those
// outside the blocks.
func norms(n Network) (Chosen, error) {
	c := Chosen{Shared: Shared.Of(n.Own)}
	for i, p := range n.Params {
		if p.Role == "norm" && strings.HasSuffix(p.Name, ".weight") && (p.Block < 0 || n.Blocks[p.Block]) {
			c.Groups = append(c.Groups, []int{i, i + 1})
		}
	}
	switch {
	case n.Patch:
		return c, notPatch("norm")
	case len(c.Groups) == 0:
		return c, uierr.New("sites.train: norm: the network has no norm there", "name more in sites.blocks")
	}
	return c, nil
}

// notPatch refuses a patch embedding that a part does not know.
func notPatch(part string) error {
	return uierr.New("sites.patch_embed: true does not go with sites.train: "+part+", which trains nothing of it",
		"set sites.patch_embed: false, or sites.train: bias or all")
}
