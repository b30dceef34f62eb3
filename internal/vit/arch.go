package vit

import (
	"fmt"
)

// Arch is the shape of a ViTForImageClassification (Dosovitskiy et al. 2021,
// arXiv 2010.11929), and an Architecture: a cls token and patches with learned
// positions, pre-norm blocks, a norm, and a classifier of the cls row.
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

	Act       Act  // between the maps of the feed-forward layer; GELU where it is empty
	NoQKVBias bool // query, key and value are linear maps without a bias (qkv_bias: false)
}

var _ Architecture = Arch{}

// Patches is the number of patches of one image.
func (a Arch) Patches() int { n := a.Image / a.Patch; return n * n }

// Tokens is the length T of the sequence: cls, prompts, patches.
func (a Arch) Tokens() int { return 1 + a.Prompts + a.Patches() }

// HeadDim is the width of one attention head.
func (a Arch) HeadDim() int { return a.Hidden / a.Heads }

// PatchLen is the number of values of one patch.
func (a Arch) PatchLen() int { return a.Chans * a.Patch * a.Patch }

// Input is the shape of an image.
func (a Arch) Input() (channels, side int) { return a.Chans, a.Image }

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

// Names of Hugging Face's files.
const (
	nameCls     = "vit.embeddings.cls_token"
	namePos     = "vit.embeddings.position_embeddings"
	namePatch   = "vit.embeddings.patch_embeddings.projection"
	nameNorm    = "vit.layernorm"
	namePrompts = "prompt.tokens"
)

func blockPrefix(l int) string { return fmt.Sprintf("vit.encoder.layer.%d.", l) }

// block are a block's names.
func (a Arch) block(l int) blockNames {
	p := blockPrefix(l)
	return blockNames{
		norm1: p + "layernorm_before", norm2: p + "layernorm_after",
		maps: [6]string{p + "attention.attention.query", p + "attention.attention.key", p + "attention.attention.value",
			p + "attention.output.dense", p + "intermediate.dense", p + "output.dense"},
	}
}

// Params lists the parameters in the order of a forward, the norms of a block
// after its maps.
func (a Arch) Params() []ParamSpec {
	D := a.Hidden
	p := paramList{block: -1}
	p.add(nameCls, "cls_token", smallStd, 1, 1, D)
	p.add(namePos, "position", positionStd, 1, 1+a.Patches(), D)
	if a.Prompts > 0 {
		p.add(namePrompts, "prompt", smallStd, 1, a.Prompts, D)
	}
	p.linear(namePatch, true, D, a.Chans, a.Patch, a.Patch)
	p.blocks(a, a.block)
	p.norm(nameNorm, D)
	p.classifier(a.Classes, D)
	return p.specs
}

func isQKV(kind string) bool { return kind == Query || kind == Key || kind == Value }

// build is the forward: only the cls row goes past the last block's keys and
// values, because nothing reads another.
func (a Arch) build(g *graph) (logits, features act) {
	h := g.embedded("h.0", a, tokenNames{cls: nameCls, positions: namePos, prompts: namePrompts, patch: namePatch})
	e := encoder{Arch: a, act: a.act()}
	for l := range a.Layers {
		h = e.block(g, l, a.block(l), h, l == a.Layers-1)
	}
	f := g.normed("f", nameNorm, h, a.Eps)
	return g.mapped(Classifier, -1, Classifier, "logits", f, NoAct), f
}
