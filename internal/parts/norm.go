package parts

import "strings"

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
	return n.inBlocks("norm", c, "the network has no norm there", "name more in sites.blocks")
}
