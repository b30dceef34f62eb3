package vit

import "fmt"

// CLIPVision is the vision tower of CLIP (Radford et al. 2021, arXiv 2103.00020;
// transformers' CLIPVisionModelWithProjection): a norm before the blocks as well,
// patches without a bias, quick GELU, a norm of the cls row alone, and a
// projection without a bias into the space that images and texts share. Without
// Classes the logits are that embedding, or what it would be made of where there
// is no projection either; with them a classifier comes after it.
type CLIPVision struct {
	Arch          // Classes: outputs of the classifier, 0 where there is none
	Projected int // width of the projection, 0 where there is none
}

var _ Architecture = CLIPVision{}

// Names of Hugging Face's files; the spelling of the norm before the blocks is
// theirs.
const (
	clipPrefix  = "vision_model."
	clipCls     = clipPrefix + "embeddings.class_embedding"
	clipPos     = clipPrefix + "embeddings.position_embedding.weight"
	clipPatch   = clipPrefix + "embeddings.patch_embedding"
	clipPre     = clipPrefix + "pre_layrnorm"
	clipPost    = clipPrefix + "post_layernorm"
	clipProject = "visual_projection"
)

// Check refuses shapes that no such tower has.
func (c CLIPVision) Check() error {
	if c.Projected < 0 || c.Projected > 1<<20 {
		return fmt.Errorf("vit: the projection is %d wide", c.Projected)
	}
	a := c.Arch
	a.Classes = max(1, a.Classes)
	return a.Check()
}

// Outputs is the number of classes, or the width of the embedding.
func (c CLIPVision) Outputs() int {
	if c.Classes > 0 {
		return c.Classes
	}
	return c.embedded()
}

// embedded is the width of the embedding.
func (c CLIPVision) embedded() int {
	if c.Projected > 0 {
		return c.Projected
	}
	return c.Hidden
}

func (c CLIPVision) block(l int) blockNames {
	p := fmt.Sprintf(clipPrefix+"encoder.layers.%d.", l)
	return blockNames{norm1: p + "layer_norm1", norm2: p + "layer_norm2",
		maps: [6]string{p + "self_attn.q_proj", p + "self_attn.k_proj", p + "self_attn.v_proj", p + "self_attn.out_proj",
			p + "mlp.fc1", p + "mlp.fc2"}}
}

// Params lists the parameters in the order of a forward.
func (c CLIPVision) Params() []ParamSpec {
	p := paramList{block: -1}
	p.add(clipCls, "cls_token", smallStd, c.Hidden)
	p.add(clipPos, "position", positionStd, 1+c.Patches(), c.Hidden)
	if c.Prompts > 0 {
		p.add(namePrompts, "prompt", smallStd, 1, c.Prompts, c.Hidden)
	}
	p.linear(clipPatch, false, c.Hidden, c.Chans, c.Patch, c.Patch)
	p.norm(clipPre, c.Hidden)
	p.blocks(c.Arch, c.block)
	p.norm(clipPost, c.Hidden)
	if c.Projected > 0 {
		p.linear(clipProject, false, c.Projected, c.Hidden)
	}
	if c.Classes > 0 {
		p.classifier(c.Classes, c.embedded())
	}
	return p.specs
}

// build is the forward. The last block goes on with the cls row alone.
func (c CLIPVision) build(g *graph) (logits, features act) {
	h := g.embedded("tokens", c.Arch, tokenNames{cls: clipCls, positions: clipPos, prompts: namePrompts, patch: clipPatch})
	h = g.normed("h.0", clipPre, h, c.Eps)
	e := encoder{Arch: c.Arch, act: c.act()}
	for l := range c.Layers {
		h = e.block(g, l, c.block(l), h, l == c.Layers-1)
	}
	f := g.normed("f", clipPost, h, c.Eps)
	switch {
	case c.Classes == 0 && c.Projected == 0:
		return f, f
	case c.Classes == 0:
		return g.mapped(Classifier, -1, clipProject, "logits", f, NoAct), f
	case c.Projected > 0:
		f = g.mapped(Projection, -1, clipProject, "embedding", f, NoAct)
	}
	return g.mapped(Classifier, -1, Classifier, "logits", f, NoAct), f
}

// act is the activation function of the feed-forward layers, quick GELU where
// none is said.
func (c CLIPVision) act() Act {
	if c.Act == NoAct {
		return QuickGELU
	}
	return c.Act
}
