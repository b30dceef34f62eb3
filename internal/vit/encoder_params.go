package vit

import "math"

// Params lists the parameters in the order of a forward, the norms of a block
// after its maps.
func (e Encoder) Params() []ParamSpec {
	D, n := e.Hidden, e.Names
	p := paramList{block: -1}
	token := func(name, role string, rows int) {
		if n.Flat {
			p.add(name, role, smallStd, D)
		} else {
			p.add(name, role, smallStd, 1, rows, D)
		}
	}
	if !e.NoCls {
		token(n.Cls, "cls_token", 1)
	}
	if e.Dist {
		token(n.Dist, "cls_token", 1)
	}
	if e.Registers > 0 {
		token(n.Registers, "cls_token", e.Registers)
	}
	if rows, _ := e.table(); rows > 0 {
		if n.Flat {
			p.add(n.Positions, e.places(), positionStd, rows, D)
		} else {
			p.add(n.Positions, e.places(), positionStd, 1, rows, D)
		}
	}
	if e.Prompts > 0 {
		p.add(namePrompts, "prompt", smallStd, 1, e.Prompts, D)
	}
	for l := 1; e.Deep && l < e.Layers; l++ {
		p.add(deepPrompts(l), "prompt", smallStd, 1, e.Prompts, D)
	}
	p.linear(n.Patch, !e.NoPatchBias, D, e.Chans, e.Patch, e.Patch)
	if e.PreNorm {
		p.norm(n.Pre, D)
	}
	if e.Relative == RelativeOne {
		e.relativeTable(&p, n.Relative)
	}
	for l := range e.Layers {
		p.block = l
		e.blockParams(&p, n.Block(l))
	}
	p.block = -1
	if e.FinalNorm {
		p.norm(n.Final, D)
	}
	if e.Pool == PoolAttention {
		e.poolParams(&p)
	}
	rows, width := e.pooledShape()
	if e.PooledNorm {
		p.norm(n.Pooled, width)
	}
	if e.Tanh {
		p.linear(n.Pooler, true, D, width)
	}
	if e.Projected > 0 {
		p.linear(n.Projection, false, e.Projected, width)
		width = e.Projected
	}
	if e.Classes > 0 {
		p.classifier(n.Classifier, e.Classes, rows*width)
		if e.Pool == PoolHeads {
			p.classifier(n.Distilled, e.Classes, width)
		}
	}
	return p.specs
}

// biased says whether a map of a block has a bias.
func (e Encoder) biased(kind string) bool {
	switch kind {
	case Query:
		return !e.NoQKVBias && !e.NoQueryBias
	case Key:
		return !e.NoQKVBias && !e.NoKeyBias
	case Value:
		return !e.NoQKVBias && !e.NoValueBias
	case AttnOut:
		return !e.NoOutBias
	}
	return !e.NoMLPBias
}

// blockParams are the parameters of one block.
func (e Encoder) blockParams(p *paramList, b BlockNames) {
	D := e.Hidden
	for _, kind := range blockKinds {
		out, in := D, D
		switch kind {
		case MLPGate:
			if !e.Gated {
				continue
			}
			out = e.MLP
		case MLPIn:
			out = e.MLP
		case MLPOut:
			in = e.MLP
		}
		p.linear(b.Maps[kind], e.biased(kind), out, in)
	}
	p.norm(b.Norm1, D)
	p.norm(b.Norm2, D)
	if e.QKNorm {
		p.norm(b.QueryNorm, e.HeadDim())
		p.norm(b.KeyNorm, e.HeadDim())
	}
	if e.Scaled {
		for _, name := range []string{b.Scale1, b.Scale2} {
			p.put(ParamSpec{Name: name, Shape: []int{D}, Role: "layer_scale", Init: Init{Value: 1}})
		}
	}
	if e.Relative == RelativeBlock {
		e.relativeTable(p, b.Relative)
	}
}

// places is the role of tables of positions.
func (e Encoder) places() string {
	if e.FixedPlaces {
		return "fixed"
	}
	return "position"
}

// relativeTable is a table of biases: a row for each offset between two patches,
// and three for those of cls; a column for each head.
func (e Encoder) relativeTable(p *paramList, name string) {
	h, w := e.Grid()
	p.add(name, e.places(), smallStd, (2*h-1)*(2*w-1)+3, e.Heads)
}

// poolParams are the parameters of pooling by attention.
func (e Encoder) poolParams(p *paramList) {
	D, n := e.Hidden, e.Names.Pool
	p.add(n.Probe, "cls_token", 1/math.Sqrt(float64(D)), 1, 1, D)
	for _, kind := range poolKinds {
		out, in := D, D
		switch kind {
		case PoolMLPIn:
			out = e.poolMLP()
		case PoolMLPOut:
			in = e.poolMLP()
		}
		p.linear(n.Maps[kind], true, out, in)
	}
	p.norm(n.Norm, D)
}
