package cuda

import "fmt"

// Attention is softmax(Scale·q kᵀ) v of every head of every slot: q has Rows
// rows a slot, k and v Tokens, all Heads·HeadDim wide.
type Attention struct {
	Slots, Rows, Tokens, Heads, HeadDim int
	Scale                               float32
	Q, K, V                             Operand
	Exact                               bool // floats are not rounded, whatever the precision
	Bias                                Ptr  // Heads×Rows×Tokens, added to the scores; 0: none
}

// oneRow says that attention runs in one kernel without workspace.
func oneRow(rows, tokens int) bool { return rows == 1 && tokens <= MaxRowTokens }

// scoreLimit bounds the workspace of the scores; more slots run in turns.
const scoreLimit = 1 << 30

func (a *Attention) scores() int64 { return 4 * int64(a.Heads) * int64(a.Rows) * int64(a.Tokens) }

// attentionWork is the workspace for the scores of so many slots.
func attentionWork(slots, heads, rows, tokens int) int64 {
	a := Attention{Heads: heads, Rows: rows, Tokens: tokens}
	return align(min(int64(slots)*a.scores(), max(scoreLimit, a.scores())))
}

// turns runs f on as many slots at a time as the workspace holds matrices of
// scores, matrices per slot.
func (a *Attention) turns(work, matrices int64, f func(lo int, part Attention) error) error {
	per := int(work / (matrices * a.scores()))
	if per < 1 {
		return fmt.Errorf("cuda: a workspace of %d bytes does not hold the scores of one image", work)
	}
	for lo := 0; lo < a.Slots; lo += per {
		part := *a
		part.Slots = min(per, a.Slots-lo)
		for _, o := range []*Operand{&part.Q, &part.K, &part.V} {
			*o = o.from(lo)
		}
		if err := f(lo, part); err != nil {
			return err
		}
	}
	return nil
}

// from is the operand as seen from a later slot.
func (o Operand) from(slot int) Operand {
	if o.Index != 0 {
		o.Index += Ptr(4 * slot)
	} else {
		o.Ptr += Ptr(4 * int64(slot) * o.Slot)
	}
	return o
}

// like is an operand of the same layout as o elsewhere, not indexed.
func (o Operand) like(p Ptr) Operand { return Operand{Ptr: p, Ld: o.Ld, Slot: o.Slot, Head: o.Head} }

// Attention computes a into out, which has the layout of q.
func (d *Device) Attention(out Ptr, a Attention, work Ptr, bytes int64) error {
	if a.Bias == 0 && oneRow(a.Rows, a.Tokens) {
		return d.AttentionRow(out, a.Q.Ptr, a.K.Ptr, a.V.Ptr, a.Q.Index, a.K.Index, a.V.Index, a.Slots, a.Tokens, a.Heads,
			a.HeadDim, a.Scale)
	}
	return a.turns(bytes, 1, func(lo int, part Attention) error {
		p, err := d.probabilities(part, work)
		if err != nil {
			return err
		}
		return d.Gemm(Gemm{Form: NN, M: a.Rows, N: a.HeadDim, K: a.Tokens, Alpha: 1, Slots: part.Slots, Heads: a.Heads,
			Exact: a.Exact, A: p, B: part.V, C: a.Q.like(out).from(lo)})
	})
}

// probabilities writes softmax(scale·q kᵀ) to work.
func (d *Device) probabilities(a Attention, work Ptr) (Operand, error) {
	head := int64(a.Rows) * int64(a.Tokens)
	p := Operand{Ptr: work, Ld: a.Tokens, Slot: int64(a.Heads) * head, Head: head}
	err := d.Gemm(Gemm{Form: NT, M: a.Rows, N: a.Tokens, K: a.HeadDim, Alpha: a.Scale, Slots: a.Slots, Heads: a.Heads,
		Exact: a.Exact, A: a.Q, B: a.K, C: p})
	if err == nil && a.Bias != 0 {
		err = d.AddBias(work, a.Bias, a.Slots, a.scores()/4)
	}
	if err != nil {
		return p, err
	}
	return p, d.Softmax(work, a.Slots*a.Heads*a.Rows, a.Tokens)
}

// AttentionGrad backpropagates Attention from dout, of the layout of q: with p
// the probabilities, dv = pᵀ dout, dp = dout vᵀ, ds = scale·p∘(dp − Σ p∘dp),
// dq = ds k, dk = dsᵀ q. Nothing of a may be indexed.
// dbias, which may be 0, is ds/scale, summed over the slots.
func (d *Device) AttentionGrad(dq, dk, dv, dbias, dout Ptr, a Attention, work Ptr, bytes int64) error {
	return a.turns(bytes, 2, func(lo int, part Attention) error {
		p, err := d.probabilities(part, work)
		if err != nil {
			return err
		}
		ds := p.like(work + Ptr(int64(part.Slots)*a.scores()))
		up := a.Q.like(dout).from(lo)
		product := func(form Form, m, n, k int, c, x, y Operand) {
			if err == nil {
				err = d.Gemm(Gemm{Form: form, M: m, N: n, K: k, Alpha: 1, Slots: part.Slots, Heads: a.Heads, C: c, A: x, B: y})
			}
		}
		product(TN, a.Tokens, a.HeadDim, a.Rows, a.V.like(dv).from(lo), p, up)
		product(NT, a.Rows, a.Tokens, a.HeadDim, ds, up, part.V)
		if err == nil {
			err = d.SoftmaxGrad(ds.Ptr, p.Ptr, part.Slots*a.Heads*a.Rows, a.Tokens, a.Scale)
		}
		if err == nil && dbias != 0 {
			err = d.SlotSum(dbias, ds.Ptr, a.scores()/4, part.Slots, 1/a.Scale, lo > 0)
		}
		product(NN, a.Rows, a.HeadDim, a.Tokens, a.Q.like(dq).from(lo), ds, part.K)
		product(TN, a.Tokens, a.HeadDim, a.Rows, a.K.like(dk).from(lo), ds, part.Q)
		return err
	})
}
