package train

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
)

// Selection is what a config trains of a model.
type Selection struct {
	Sites  []int // sites whose linear maps are trained
	Linear []int // their weights and biases, as indices into Params
	Direct []int // parameters that are no linear map: norms, embeddings, prompts
	// Adapted are weights among Linear that stay as they are and have adapters
	Adapted []int
}

// All are the indices of every trained parameter, in the model's order.
func (s Selection) All() []int {
	a := append(slices.Clone(s.Linear), s.Direct...)
	slices.Sort(a)
	return a
}

// Select reads a config's sites against a model. A learned temperature is not
// among them: its gradient is known without a query (align.go).
func Select(c config.Sites, m query.Model) (Selection, error) {
	blocks, err := blocksOf(c, m.Sites())
	if err != nil {
		return Selection{}, err
	}
	if slices.Contains(c.Kinds, "residual") && slices.ContainsFunc(c.Kinds, inBlock) {
		return Selection{}, uierr.New("sites.kinds: residual stands for all maps of a block; "+
			"others beside it have no meaning", "set sites.kinds: [residual]")
	}
	if !parts.Is(c.Train, parts.Whole) {
		return selectPart(c, m, blocks)
	}
	var sel Selection
	for i, s := range m.Sites() {
		var in bool
		switch {
		case s.Kind == "classifier", s.Kind == "classifier_dist":
			in = c.Classifier
		case strings.HasPrefix(s.Kind, "pool_"):
			in = slices.Contains(c.Kinds, "pool")
		case s.Kind == "patch_embed":
			in = c.PatchEmbed
		case s.Kind == "mlp_gate": // goes with the map that it gates
			in = blocks[s.Block] && slices.Contains(c.Kinds, "mlp_in")
		default:
			in = (s.Block < 0 || blocks[s.Block]) && slices.Contains(c.Kinds, s.Kind)
		}
		if in {
			sel.Sites = append(sel.Sites, i)
			sel.Linear = append(sel.Linear, s.Params()...)
		}
	}
	sel.layers(c, m, blocks)
	for i, p := range m.Params() {
		in := false
		switch p.Role {
		case "layer_scale":
			in = slices.Contains(c.Params, p.Role) && blocks[p.Block]
		case "norm":
			// the norms outside the blocks go with any of them
			in = slices.Contains(c.Params, "norm") && (p.Block < 0 || blocks[p.Block])
		case "cls_token", "position":
			in = slices.Contains(c.Params, p.Role) && (p.Block < 0 || blocks[p.Block])
		case "prompt":
			in = true
		}
		if in {
			sel.Direct = append(sel.Direct, i)
		}
	}
	return sel, nil
}

// inBlock says whether a kind of site is a map of a block.
func inBlock(kind string) bool {
	return !slices.Contains([]string{"residual", "pool", "projection"}, kind)
}

// layers adds what lies in the blocks whose outputs are sites: their linear maps, which
// need no noise of their own.
func (s *Selection) layers(c config.Sites, m query.Model, blocks map[int]bool) {
	if !slices.Contains(c.Kinds, "residual") {
		return
	}
	for _, x := range m.Sites() {
		if x.Block < 0 || !blocks[x.Block] {
			continue
		}
		for _, p := range x.Params() {
			if !slices.Contains(s.Linear, p) {
				s.Linear = append(s.Linear, p)
			}
		}
	}
}

// blocksOf are the blocks that a config names, of a model with these sites.
func blocksOf(c config.Sites, sites []forward.Site) (map[int]bool, error) {
	layers := 0
	for _, s := range sites {
		layers = max(layers, s.Block+1)
	}
	return parseBlocks(c.Blocks, layers)
}

// parseBlocks reads all, none, last-N or a list of block numbers.
func parseBlocks(s string, layers int) (map[int]bool, error) {
	out := map[int]bool{}
	bad := func(why string) error {
		return uierr.New(fmt.Sprintf("sites.blocks: %q: %s", s, why),
			fmt.Sprintf("use all, none, last-N, or numbers from 0 to %d such as \"%d,%d\"", layers-1, max(0, layers-2), layers-1))
	}
	switch {
	case s == "none" || s == "":
	case s == "all":
		for l := range layers {
			out[l] = true
		}
	case strings.HasPrefix(s, "last-"):
		n, err := strconv.Atoi(s[len("last-"):])
		if err != nil || n < 0 {
			return nil, bad("not a number of blocks")
		}
		if n > layers {
			return nil, bad(fmt.Sprintf("the model has %d blocks", layers))
		}
		for l := layers - n; l < layers; l++ {
			out[l] = true
		}
	default:
		for _, f := range strings.Split(s, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(f))
			if err != nil || n < 0 || n >= layers {
				return nil, bad(fmt.Sprintf("no block %q", strings.TrimSpace(f)))
			}
			out[n] = true
		}
	}
	return out, nil
}
