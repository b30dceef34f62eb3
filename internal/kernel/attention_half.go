package kernel

// HalfAttention is the working memory of AttentionHalf. The zero value is ready; it
// grows to the largest shape it has seen.
type HalfAttention struct {
	gemm         HalfScratch
	keys, values Half
	single       AttentionScratch // the transposed keys and the scores
}

// AttentionHalf is Attention with both products in bf16, of scale·k and of the softmax:
// queries, scaled keys, probabilities and values are rounded, the softmax is float32.
// A row's result depends on that row of q and on k and v alone.
func AttentionHalf(out []float32, ldo int, q []float32, ldq, rows int, k []float32, ldk int, v []float32, ldv, tokens,
	heads, headDim int, scale float32, bias []float32, s *HalfAttention) {
	if rows == 0 || tokens == 0 {
		return
	}
	lt := roundUp(tokens, halfPanel)
	kt := Grow(&s.single.trans, headDim*lt)
	sc := Grow(&s.single.scores, rows*lt)
	for h := range heads {
		at := h * headDim
		s.transposed(kt, lt, k[at:], ldk, tokens, headDim, scale)
		s.keys.PackNN(kt, headDim, lt, lt)
		GemmHalf(sc, lt, q[at:], ldq, rows, &s.keys, nil, &s.gemm)
		if bias != nil {
			for r := range rows {
				AddTo(sc[r*lt:r*lt+tokens], bias[(h*rows+r)*tokens:])
			}
		}
		softmaxPadded(sc, rows, tokens, lt)
		s.values.PackNN(v[at:], tokens, headDim, ldv)
		s.values.k = lt // scores of no token are nothing, and so are its values
		GemmHalf(out[at:], ldo, sc, lt, rows, &s.values, nil, &s.gemm)
	}
}

// transposed writes scale·kᵀ of a head, zero beyond the tokens.
func (s *HalfAttention) transposed(kt []float32, lt int, k []float32, ldk, tokens, headDim int, scale float32) {
	s.single.transpose(kt, lt, k, ldk, tokens, headDim, scale)
	for j := range headDim {
		clear(kt[j*lt+pad8(tokens) : (j+1)*lt])
	}
}
