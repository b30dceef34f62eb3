package parts

func init() { Register("prompt", tokens).Takes(Shared).Is(Tokens) }

// tokens are those that prompt.kind: tokens puts into the network, whatever blocks are
// chosen.
func tokens(n Network) (Chosen, error) {
	c := Chosen{Shared: Shared.Of(n.Own)}
	for i, p := range n.Params {
		if p.Role == "prompt" {
			c.Groups = append(c.Groups, []int{i})
		}
	}
	return n.inBlocks("prompt", c, "the network has no learned tokens",
		"set prompt.kind: tokens, with prompt.count and prompt.deep")
}
