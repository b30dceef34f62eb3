package vit

import (
	"fmt"

	"github.com/flops-vit/flops/internal/query"
)

// Arch is the shape of a ViTForImageClassification.
type Arch struct {
	Image   int     // pixels of a side
	Patch   int     // pixels of a patch's side
	Chans   int     // colour channels
	Hidden  int     // width D of a token
	Layers  int     // encoder blocks
	Heads   int     // attention heads; Hidden is a multiple
	MLP     int     // width of the feed-forward layer
	Classes int     // outputs of the classifier
	Prompts int     // learned prompt tokens after the cls token
	Eps     float64 // of every layer norm

	NoQKVBias bool // query, key and value are linear maps without a bias (qkv_bias: false)
}

// Patches is the number of patches of one image.
func (a Arch) Patches() int { n := a.Image / a.Patch; return n * n }

// Tokens is the length T of the sequence: cls, prompts, patches.
func (a Arch) Tokens() int { return 1 + a.Prompts + a.Patches() }

// HeadDim is the width of one attention head.
func (a Arch) HeadDim() int { return a.Hidden / a.Heads }

// PatchLen is the number of values of one patch.
func (a Arch) PatchLen() int { return a.Chans * a.Patch * a.Patch }

// Check refuses shapes that are no vision transformer.
func (a Arch) Check() error {
	for _, v := range []struct {
		name string
		v    int
	}{{"image size", a.Image}, {"patch size", a.Patch}, {"channels", a.Chans}, {"hidden size", a.Hidden},
		{"layers", a.Layers}, {"heads", a.Heads}, {"mlp size", a.MLP}, {"classes", a.Classes}} {
		if v.v < 1 || v.v > 1<<20 {
			return fmt.Errorf("vit: %s is %d", v.name, v.v)
		}
	}
	if a.Image%a.Patch != 0 {
		return fmt.Errorf("vit: image size %d is not a multiple of patch size %d", a.Image, a.Patch)
	}
	if a.Hidden%a.Heads != 0 {
		return fmt.Errorf("vit: hidden size %d is not a multiple of %d heads", a.Hidden, a.Heads)
	}
	if a.Tokens() > 1<<16 || a.Layers > 500 {
		return fmt.Errorf("vit: %d tokens and %d layers are more than this tool is made for", a.Tokens(), a.Layers)
	}
	return nil
}

// The kinds of sites, in the order in which a forward meets them.
const (
	PatchEmbed = "patch_embed"
	Query      = "query"
	Key        = "key"
	Value      = "value"
	AttnOut    = "attn_out"
	MLPIn      = "mlp_in"
	MLPOut     = "mlp_out"
	Classifier = "classifier"
)

// blockKinds are the six sites of a block in their order.
var blockKinds = []string{Query, Key, Value, AttnOut, MLPIn, MLPOut}

// siteIndex is the position of a block's site in Sites: patch_embed is 0, block
// l's sites follow at 1+6l, the classifier is last.
func siteIndex(block, kind int) int { return 1 + len(blockKinds)*block + kind }

// buildSites lists every site of the architecture. weight finds a parameter's
// index by its name, -1 where there is none.
func (a Arch) buildSites(weight func(name string) int) []query.Site {
	T, D := a.Tokens(), a.Hidden
	sites := []query.Site{{Name: PatchEmbed, Kind: PatchEmbed, Block: -1, Rows: a.Patches(), Live: a.Patches(),
		In: a.PatchLen(), Out: D, Weight: weight(namePatch + ".weight"), Bias: weight(namePatch + ".bias"),
		FLOPs: a.ForwardFLOPs() - a.patchFLOPs()}}
	for l := 0; l < a.Layers; l++ {
		for k, kind := range blockKinds {
			s := query.Site{Name: fmt.Sprintf("block.%d.%s", l, kind), Kind: kind, Block: l, Rows: T, Live: T, In: D, Out: D,
				FLOPs: a.suffixFLOPs(l, kind)}
			switch kind {
			case MLPIn:
				s.Out = a.MLP
			case MLPOut:
				s.In = a.MLP
			}
			if l == a.Layers-1 && kind != Key && kind != Value {
				s.Live = 1
			}
			base := blockPrefix(l) + blockParam[k]
			s.Weight, s.Bias = weight(base+".weight"), weight(base+".bias")
			sites = append(sites, s)
		}
	}
	return append(sites, query.Site{Name: Classifier, Kind: Classifier, Block: -1, Rows: 1, Live: 1, In: D, Out: a.Classes,
		Weight: weight("classifier.weight"), Bias: weight("classifier.bias")})
}
