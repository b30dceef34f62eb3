package vit

import "fmt"

// BEiT is that of Bao et al. 2021 (arXiv 2106.08254): no bias of keys, attention
// that knows how far patches lie apart by a learned table, a norm of the pooled
// row alone where that is the mean of the patches.
func BEiT(a Arch, mean bool) Encoder {
	const prefix = "beit."
	e := Encoder{Arch: a, Names: bertNames(prefix), NoKeyBias: true, FinalNorm: !mean, Positions: PositionsNone}
	if mean {
		e.Pool, e.PooledNorm = PoolMean, true
	}
	const table = "relative_position_bias.relative_position_bias_table"
	e.Names.Pooled, e.Names.Relative = prefix+"pooler.layernorm", prefix+"encoder."+table
	base := e.Names.Block
	e.Names.Block = func(l int) BlockNames {
		n, p := base(l), fmt.Sprintf("%sencoder.layer.%d.", prefix, l)
		n.Scale1, n.Scale2, n.Relative = p+"lambda_1", p+"lambda_2", p+"attention.attention."+table
		return n
	}
	return e
}
