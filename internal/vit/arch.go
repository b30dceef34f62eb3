package vit

import (
	"fmt"
)

// Arch is the sizes of a transformer over patches. By itself it is a
// ViTForImageClassification (Dosovitskiy et al. 2021, arXiv 2010.11929), and an
// Architecture: a cls token and patches with learned positions, pre-norm blocks, a
// norm, and a classifier of the cls row. Other families put an Encoder around it.
type Arch struct {
	Image   int     // pixels of a side, or rows of pixels where Across is not 0
	Across  int     // columns of pixels; 0: as many as rows
	Patch   int     // pixels of a patch's side
	Chans   int     // colour channels
	Hidden  int     // width D of a token
	Layers  int     // encoder blocks
	Heads   int     // attention heads; Hidden is a multiple
	MLP     int     // width of the feed-forward layer
	Classes int     // outputs of the classifier
	Prompts int     // learned prompt tokens before the patches
	Deep    bool    // every block has prompt tokens of its own in their places
	Eps     float64 // of every layer norm

	Act       Act  // between the maps of the feed-forward layer; GELU where it is empty
	NoQKVBias bool // query, key and value are linear maps without a bias (qkv_bias: false)
}

var _ Architecture = Arch{}

// Columns is the width of an image in pixels.
func (a Arch) Columns() int {
	if a.Across > 0 {
		return a.Across
	}
	return a.Image
}

// Grid is the patches of an image, rows and columns of them. Pixels past the last
// whole patch are not looked at.
func (a Arch) Grid() (rows, columns int) { return a.Image / a.Patch, a.Columns() / a.Patch }

// Patches is the number of patches of one image.
func (a Arch) Patches() int { h, w := a.Grid(); return h * w }

// Tokens is the length T of a ViT's sequence: cls, prompts, patches.
func (a Arch) Tokens() int { return 1 + a.Prompts + a.Patches() }

// HeadDim is the width of one attention head.
func (a Arch) HeadDim() int { return a.Hidden / a.Heads }

// PatchLen is the number of values of one patch.
func (a Arch) PatchLen() int { return a.Chans * a.Patch * a.Patch }

// Input is the shape of an image.
func (a Arch) Input() (channels, height, width int) { return a.Chans, a.Image, a.Columns() }

// act is the activation function of the feed-forward layers.
func (a Arch) act() Act {
	if a.Act == NoAct {
		return GELU
	}
	return a.Act
}

// Outputs is the number of classes.
func (a Arch) Outputs() int { return a.Classes }

// Check refuses shapes that are no vision transformer.
func (a Arch) Check() error {
	for _, v := range []struct {
		name string
		v    int
	}{{"image size", a.Image}, {"image width", a.Columns()}, {"patch size", a.Patch}, {"channels", a.Chans},
		{"hidden size", a.Hidden}, {"layers", a.Layers}, {"heads", a.Heads}, {"mlp size", a.MLP}, {"classes", a.Classes}} {
		if v.v < 1 || v.v > 1<<20 {
			return fmt.Errorf("vit: %s is %d", v.name, v.v)
		}
	}
	if a.Image < a.Patch || a.Columns() < a.Patch {
		return fmt.Errorf("vit: an image of %d by %d pixels holds no patch of %d", a.Image, a.Columns(), a.Patch)
	}
	if a.Hidden%a.Heads != 0 {
		return fmt.Errorf("vit: hidden size %d is not a multiple of %d heads", a.Hidden, a.Heads)
	}
	if a.Tokens() > 1<<16 || a.Layers > 500 {
		return fmt.Errorf("vit: %d tokens and %d layers are more than this tool is made for", a.Tokens(), a.Layers)
	}
	return nil
}

// Params lists the parameters in the order of a forward.
func (a Arch) Params() []ParamSpec { return ViT(a).Params() }

func (a Arch) build(g *graph) (logits, features act) { return ViT(a).build(g) }
