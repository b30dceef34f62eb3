// Package parts knows what of a network is trained, by the names of sites.train: all of
// what the other keys choose, its biases, its norms, adapters beside its maps, cores
// of them in a few directions, or learned tokens.
package parts

import (
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

// Network is what a part is chosen of.
type Network struct {
	Params []*forward.Param
	Sites  []forward.Site
	Blocks map[int]bool // that are trained
	Kinds  []string     // of sites.kinds
	Patch  bool         // sites.patch_embed
	// Blind says that the loss does not see all rows of a site move alike; nil: it sees all
	Blind func(site int) bool
	Own   settings.Values
}

// Chosen are parameters in groups, each of which has noise of its own where noise is
// added to parameters themselves.
type Chosen struct {
	Groups [][]int
	// Shared says that noise is added to the parameters themselves, of every image its
	// own and shared by its rows.
	Shared bool
}

// Part chooses parameters of a network, besides the classifier. An error is a mistake of
// the user's.
type Part func(n Network) (Chosen, error)

// Traits of parts.
const (
	Whole  settings.Trait = "trains what the other keys of sites choose"
	Maps   settings.Trait = "trains maps of the kinds that sites.kinds names"
	Adapts settings.Trait = "trains adapters beside the weights that it chooses"
	Tokens settings.Trait = "trains learned tokens"
	// Principal, of one that adapts: what is trained is a core between directions that stay
	Principal settings.Trait = "trains cores between principal directions of the maps that it chooses"
)

// All is the part that is trained where nothing is said.
const All = "all"

var registry = settings.NewRegistry[Part]("sites.train", "part of a network")

// Register adds a part under a name; call it from init. It takes the settings that it
// reads from Network.Own.
func Register(name string, choose Part) *settings.Registration { return registry.Add(name, choose) }

// Names lists the registered parts.
func Names() []string { return registry.Names() }

// Is says whether a part has a trait. No name is All.
func Is(name string, t settings.Trait) bool { return registry.Is(orAll(name), t) }

// Those lists the parts with a trait.
func Those(t settings.Trait) []string { return registry.Those(t) }

// Settings lists what single parts add to the section sites of a config.
func Settings() []settings.Owned { return registry.Settings() }

// Choose chooses by a part's name.
func Choose(name string, n Network) (Chosen, error) {
	p, err := registry.Get(orAll(name))
	if err != nil {
		return Chosen{}, err
	}
	return p(n)
}

// inBlocks is what a part chose that knows no patch embedding, and refuses one; where it
// is nothing, what and hint say so.
func (n Network) inBlocks(part string, c Chosen, what, hint string) (Chosen, error) {
	switch {
	case n.Patch:
		return c, uierr.New("sites.patch_embed: true does not go with sites.train: "+part+", which trains nothing of it",
			"set sites.patch_embed: false, or sites.train: bias or all")
	case len(c.Groups) == 0:
		return c, uierr.New("sites.train: "+part+": "+what, hint)
	}
	return c, nil
}

func orAll(name string) string {
	if name == "" {
		return All
	}
	return name
}

// maps lists the sites that are maps of the chosen kinds in the chosen blocks, and the patch embedding
// where that is chosen.
func (n Network) maps() (out []int) {
	for i, s := range n.Sites {
		kind := s.Kind
		if kind == "mlp_gate" { // goes with the map that it gates
			kind = "mlp_in"
		}
		switch {
		case s.Weight < 0:
		case kind == "patch_embed" && n.Patch,
			s.Block >= 0 && n.Blocks[s.Block] && (slices.Contains(n.Kinds, kind) || slices.Contains(n.Kinds, "residual")):
			out = append(out, i)
		}
	}
	return out
}
