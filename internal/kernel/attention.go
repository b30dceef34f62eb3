package kernel

// AttentionScratch is the working memory of Attention and AttentionGrad. The
// zero value is ready; it grows to the largest shape it has seen and then
// allocates nothing. One goroutine at a time may use it.
type AttentionScratch struct {
	trans  []float32 // one head's keys (or values), transposed: headDim×padded tokens
	scores []float32 // rows×padded tokens
	pack   []float32 // one head's operand padded to whole vectors, where headDim is not a multiple of 8
	out    []float32 // one head's result at padded width, likewise
	edge   []float32 // the last 1 to 7 tokens, padded with zeros to 8
}

// pad8 rounds n up to whole vectors of eight.
func pad8(n int) int { return (n + 7) &^ 7 }

// Grow is *s with n numbers, which are not cleared; a longer one takes its place where it
// has no room for them.
func Grow(s *[]float32, n int) []float32 {
	if cap(*s) < n {
		*s = make([]float32, n)
	}
	return (*s)[:n]
}

// Attention is the multi-head attention of one image (Vaswani et al.,
// arXiv 1706.03762): per head h, out_h = softmax(scale·q_h k_hᵀ + bias_h) v_h, where
// head h owns columns h·headDim..(h+1)·headDim.
//
// q is rows×(heads·headDim), row r beginning at q[r·ldq]; k and v are
// tokens×(heads·headDim); out has the shape of q. scale is usually
// 1/√headDim. bias is nil, or heads×rows×tokens. probs, when not nil, receives the softmax as heads×rows×tokens,
// which AttentionGrad needs.
//
// A row's result depends on that row of q and on k and v alone: the same bits
// for one row as for all, and with probs as without.
func Attention(out []float32, ldo int, q []float32, ldq, rows int, k []float32, ldk int, v []float32, ldv, tokens,
	heads, headDim int, scale float32, bias, probs []float32, s *AttentionScratch) {
	if rows == 0 || tokens == 0 {
		return
	}
	lt := pad8(tokens)
	kt := Grow(&s.trans, headDim*lt)
	sc := Grow(&s.scores, rows*lt)
	for h := range heads {
		at := h * headDim
		s.transpose(kt, lt, k[at:], ldk, tokens, headDim, scale)
		tileGEMM(sc, lt, q[at:], ldq, 1, kt, lt, rows, lt, headDim)
		if bias != nil {
			for r := range rows {
				AddTo(sc[r*lt:r*lt+tokens], bias[(h*rows+r)*tokens:])
			}
		}
		softmaxPadded(sc, rows, tokens, lt)
		s.product(out[at:], ldo, sc, lt, 1, v[at:], ldv, rows, headDim, tokens)
		if probs != nil {
			p := probs[h*rows*tokens:]
			for r := range rows {
				copy(p[r*tokens:(r+1)*tokens], sc[r*lt:])
			}
		}
	}
}

// transpose writes scale·srcᵀ (cols rows of ldt) of a rows×cols operand, zero
// from rows to ldt, which is rows rounded up to 8.
func (s *AttentionScratch) transpose(dst []float32, ldt int, src []float32, lds, rows, cols int, scale float32) {
	r := 0
	for ; r+8 <= rows; r += 8 {
		transpose8(dst[r:], ldt, src[r*lds:], lds, cols, scale)
	}
	if r == rows {
		return
	}
	edge := Grow(&s.edge, 8*cols)
	for i := range 8 {
		row := edge[i*cols : (i+1)*cols]
		if r+i < rows {
			copy(row, src[(r+i)*lds:])
		} else {
			clear(row)
		}
	}
	transpose8(dst[r:], ldt, edge, cols, cols, scale)
}

// product sets c = a·b for a b of n columns in place, padding through scratch
// where n is not whole vectors.
func (s *AttentionScratch) product(c []float32, ldc int, a []float32, ra, ca int, b []float32, ldb, m, n, k int) {
	if n%8 == 0 {
		tileGEMM(c, ldc, a, ra, ca, b, ldb, m, n, k)
		return
	}
	ln := pad8(n)
	pb, po := Grow(&s.pack, k*ln), Grow(&s.out, m*ln)
	for i := range k {
		copy(pb[i*ln:i*ln+n], b[i*ldb:i*ldb+n])
		clear(pb[i*ln+n : (i+1)*ln])
	}
	tileGEMM(po, ln, a, ra, ca, pb, ln, m, ln, k)
	for i := range m {
		copy(c[i*ldc:i*ldc+n], po[i*ln:i*ln+n])
	}
}

// AttentionGrad backpropagates Attention. Given dout (shape and stride rules of
// out) and the probs that Attention stored, it overwrites dq (rows×dim), dk and
// dv (tokens×dim),
// and adds to dbias, where it is not empty, the gradient of the bias, ds/scale:
//
//	dv = pᵀ dout,  dp = dout vᵀ,  ds = scale·p∘(dp − Σ_t p∘dp),  dq = ds k,  dk = dsᵀ q.
func AttentionGrad(dq []float32, lddq int, dk []float32, lddk int, dv []float32, lddv int, dout []float32, lddo int,
	q []float32, ldq, rows int, k []float32, ldk int, v []float32, ldv, tokens, heads, headDim int, scale float32,
	probs, dbias []float32, s *AttentionScratch) {
	if rows == 0 || tokens == 0 {
		return
	}
	lt := pad8(tokens)
	vt := Grow(&s.trans, headDim*lt)
	ds := Grow(&s.scores, rows*lt)
	for h := range heads {
		at := h * headDim
		p := probs[h*rows*tokens : (h+1)*rows*tokens]
		s.product(dv[at:], lddv, p, 1, tokens, dout[at:], lddo, tokens, headDim, rows)
		s.transpose(vt, lt, v[at:], ldv, tokens, headDim, 1)
		tileGEMM(ds, lt, dout[at:], lddo, 1, vt, lt, rows, lt, headDim)
		softmaxGradRows(ds, lt, p, tokens, rows, tokens, scale)
		if len(dbias) > 0 {
			for r := range rows {
				Axpy(dbias[(h*rows+r)*tokens:][:tokens], 1/scale, ds[r*lt:])
			}
		}
		s.product(dq[at:], lddq, ds, lt, 1, k[at:], ldk, rows, headDim, tokens)
		s.product(dk[at:], lddk, ds, 1, lt, q[at:], ldq, tokens, headDim, rows)
	}
}
