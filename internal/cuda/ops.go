package cuda

import (
	"math"

	"github.com/flops-vit/flops/internal/vit"
)

// op is a node while its step is built.
type op struct {
	*VM
	spec  vit.Spec
	slots int
	size  int64 // values of the output
	out   *ref
	in    []*ref
	sizes []int64 // values of the inputs

	half   bool   // the output stands in bf16
	halves []bool // and each input
	exact  bool   // nothing is rounded that the noise of a query went into

	noise vit.Spec // of an attention that makes noise at one of its inputs, which noisy numbers
	noisy int
}

// builders makes the step of each kind of op and says how many bytes of
// workspace it wants. The kinds are internal/vit's, and the one stock op that
// Gorgonia's differentiation adds, by its name.
var builders map[string]func(o *op) (step, int64)

func init() {
	builders = map[string]func(o *op) (step, int64){
		vit.OpPatches:   buildPatches,
		vit.OpEmbed:     buildEmbed,
		vit.OpLinear:    buildLinear,
		vit.OpNorm:      buildNorm,
		vit.OpAct:       buildAct,
		vit.OpAttention: buildAttention,
		vit.OpRows:      buildRows,
		vit.OpScale:     buildScale,
		vit.OpProduct:   func(o *op) (step, int64) { return buildCombine(o, false) },
		vit.OpMean:      func(o *op) (step, int64) { return buildCombine(o, true) },
		vit.OpPool:      buildPool,
		vit.OpRepeat:    buildRepeat,
		vit.OpTurn:      buildTurn,
		vit.OpBias:      buildBias,
		vit.OpPerturb:   buildPerturb,
		vit.OpGather:    buildGather,
		vit.OpApart:     buildApart,
		vit.OpLoss:      buildLoss,

		vit.OpEmbedGrad:     buildEmbedGrad,
		vit.OpLinearDX:      buildLinearDX,
		vit.OpLinearDW:      buildLinearDW,
		vit.OpColSum:        buildColSum,
		vit.OpNormDX:        buildNormDX,
		vit.OpNormDG:        buildNormDG,
		vit.OpActGrad:       buildActGrad,
		vit.OpAttentionGrad: buildAttentionGrad,
		vit.OpPart:          buildPart,
		vit.OpRowsGrad:      buildRowsGrad,
		vit.OpScaleDX:       buildScaleDX,
		vit.OpScaleDG:       buildScaleDG,
		vit.OpProductGrad:   func(o *op) (step, int64) { return buildCombine(o, false) },
		vit.OpMeanGrad:      buildMeanGrad,
		vit.OpPoolGrad:      buildPoolGrad,
		vit.OpBiasGrad:      buildBiasGrad,
		vit.OpScatter:       buildScatter,
		vit.OpLossGrad:      buildLossGrad,
		"+ false":           buildAdd,
	}
}

// ptr and arg are the addresses of the output and of an input in a run.
func (o *op) ptr(r *Run) Ptr        { return o.at(o.out, r) }
func (o *op) arg(i int, r *Run) Ptr { return o.at(o.in[i], r) }

// index is where an input's slots are looked up, 0 where it is not indexed.
func (o *op) index(i int, r *Run) Ptr {
	if i < len(o.spec.Indexed) && o.spec.Indexed[i] {
		return r.Slots.Image
	}
	return 0
}

func buildPatches(o *op) (step, int64) {
	s := o.spec
	return func(r *Run) error {
		return o.dev.Patches(o.ptr(r), o.arg(0, r), r.N, s.Chans, s.High, s.Wide, s.Patch)
	}, 0
}

func buildEmbed(o *op) (step, int64) {
	return func(r *Run) error { return o.embed(r, false) }, 0
}

// embed writes run by run of the sequence, of which the patches may be in bf16.
func (o *op) embed(r *Run, half bool) error {
	s := o.spec
	for _, x := range s.Segments {
		var positions Ptr
		if x.Table >= 0 {
			positions = o.arg(x.Table, r) + Ptr(4*x.Position*s.Width)
		}
		var err error
		if half && x.Token == 0 {
			err = o.dev.HalfEmbed(o.ptr(r), o.arg(0, r), positions, r.N, x.Row, x.Rows, s.Rows, s.Width)
		} else {
			err = o.dev.Embed(o.ptr(r), o.arg(x.Token, r), positions, r.N, x.Token == 0, x.Row, x.Rows, s.Rows, s.Width)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func buildLinear(o *op) (step, int64) {
	n := o.spec.Width
	k := int(o.sizes[1]) / n
	residual := 2 // the input that it is, where there is one
	if o.spec.Bias {
		residual++
	}
	return func(r *Run) error {
		g := Gemm{Form: NT, M: r.N * o.spec.Rows, N: n, K: k, Alpha: 1, C: Operand{Ptr: o.ptr(r), Ld: n},
			A: Operand{Ptr: o.arg(0, r), Ld: k}, B: Operand{Ptr: o.arg(1, r), Ld: k}, Act: function(o.spec.Act),
			Rows: o.spec.Rows}
		if o.spec.Bias {
			g.Bias = o.arg(2, r)
		}
		if len(o.in) > residual {
			g.Residual, g.Index = o.arg(residual, r), o.index(residual, r)
		}
		return o.dev.Gemm(g)
	}, 0
}

func buildNorm(o *op) (step, int64) {
	return func(r *Run) error {
		return o.dev.LayerNorm(o.ptr(r), o.arg(0, r), o.arg(1, r), o.arg(2, r), r.N*o.spec.Rows, o.spec.Width, o.spec.Eps)
	}, 0
}

func (o *op) values(r *Run) int64 { return int64(r.N) * int64(o.spec.Rows) * int64(o.spec.Width) }

func buildAct(o *op) (step, int64) {
	return func(r *Run) error { return o.dev.Activation(function(o.spec.Act), o.ptr(r), o.arg(0, r), o.values(r)) }, 0
}

// attention describes the op's products.
func (o *op) attention(r *Run) Attention {
	d := o.spec.Width / o.spec.Heads
	at := func(i, rows int) Operand {
		return Operand{Ptr: o.arg(i, r), Ld: o.spec.Width, Slot: int64(rows) * int64(o.spec.Width), Head: int64(d),
			Index: o.index(i, r)}
	}
	var bias Ptr
	if o.spec.Biased {
		bias = o.arg(3, r)
	}
	return Attention{Slots: r.N, Bias: bias, Rows: o.spec.Rows, Tokens: o.spec.Keys, Heads: o.spec.Heads, HeadDim: d,
		Exact: o.exact, Scale: scaleOf(d), Q: at(0, o.spec.Rows), K: at(1, o.spec.Keys), V: at(2, o.spec.Keys)}
}

// scaleOf is that of the scores of heads of so many values.
func scaleOf(head int) float32 { return float32(1 / math.Sqrt(float64(head))) }

func buildAttention(o *op) (step, int64) {
	if o.noise.Kind != "" {
		return func(r *Run) error {
			a := o.attention(r)
			return o.dev.NoisyRow(o.noisy, o.ptr(r), a.Q.Ptr, a.K.Ptr, a.V.Ptr, r.Slots, r.N, o.noise.Site, a.Tokens, a.Heads,
				a.HeadDim,
				o.noise.Offset, a.Scale, r.Paired)
		}, 0
	}
	var work int64
	if o.spec.Biased || !oneRow(o.spec.Rows, o.spec.Keys) {
		work = attentionWork(o.slots, o.spec.Heads, o.spec.Rows, o.spec.Keys)
	}
	return func(r *Run) error {
		return o.dev.Attention(o.ptr(r), o.attention(r), o.workspace(), work)
	}, work
}

func buildRows(o *op) (step, int64) {
	w := int64(o.spec.Width)
	return func(r *Run) error {
		from := o.arg(0, r) + Ptr(4*w*int64(o.spec.Offset))
		return o.dev.Gather(o.ptr(r), from, 0, r.N, w*int64(o.spec.Rows), w*int64(o.spec.InRows))
	}, 0
}

func buildPerturb(o *op) (step, int64) {
	s := o.spec
	return func(r *Run) error {
		return o.dev.Perturb(o.ptr(r), o.arg(0, r), r.Slots, r.N, s.Site, s.Rows, s.Width, s.Offset, s.Live,
			len(s.Indexed) > 0 && s.Indexed[0], function(s.Act))
	}, 0
}

func buildLoss(o *op) (step, int64) {
	if o.hostLoss {
		return nil, 0
	}
	return func(r *Run) error {
		return o.dev.CrossEntropy(o.ptr(r), o.arg(0, r), r.Slots.Label, r.N, o.spec.Width)
	}, 0
}
