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

// encoder is the tower as an Encoder.
func (c CLIPVision) encoder() Encoder {
	if c.Act == NoAct {
		c.Act = QuickGELU
	}
	return Encoder{Arch: c.Arch, Names: clipNames(), NoPatchBias: true, PreNorm: true, PooledNorm: true,
		Projected: c.Projected, Bare: true}
}

// CLIP is the tower as an Encoder, of which the mean of the patches may be pooled
// without a norm, as transformers' CLIPForImageClassification does.
func CLIP(a Arch, projected int, mean bool) Encoder {
	e := CLIPVision{Arch: a, Projected: projected}.encoder()
	if mean {
		e.Pool, e.PooledNorm = PoolMean, false
	}
	return e
}

// Check refuses shapes that no such tower has.
func (c CLIPVision) Check() error {
	if c.Projected < 0 || c.Projected > 1<<20 {
		return fmt.Errorf("vit: the projection is %d wide", c.Projected)
	}
	return c.encoder().Check()
}

// Outputs is the number of classes, or the width of the embedding.
func (c CLIPVision) Outputs() int { return c.encoder().Outputs() }

// Params lists the parameters in the order of a forward.
func (c CLIPVision) Params() []ParamSpec { return c.encoder().Params() }

func (c CLIPVision) build(g *graph) (logits, features act) { return c.encoder().build(g) }
