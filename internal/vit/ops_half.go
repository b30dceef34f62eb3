package vit

import "github.com/flops-vit/flops/internal/kernel"

// addResidual adds n values of a residual to every slot.
func (g *graph) addResidual(out, res []float32, n int, x act) {
	f := g.feed
	for s := 0; s < f.Slots; s++ {
		kernel.AddTo(out[s*n:(s+1)*n], f.source(x, res, s, n))
	}
}

// differences is a linear map of noisy slots in bf16. Rounding their values would
// drown what the noise changed of them, so that only this is multiplied: with x₀ and
// y₀ = W·bf16(x₀) + b of the slot without noise, y = y₀ + W·bf16(x − x₀). Noise of
// nothing gives y₀ to the last bit, which is what the clean pass computed. The
// activation function and the residual are of values, in float32.
func (g *graph) differences(l *linear, out []float32, v [][]float32, rows int, act Act, res *act, at int) {
	f, in, n := g.feed, rows*l.in, rows*l.out
	noisy := f.Slots - f.bases()
	var ep kernel.Epilogue
	if l.b != nil {
		ep.Bias = v[2]
	}
	kernel.GemmHalf(out[noisy*n:], l.out, v[0][noisy*in:], l.in, (f.Slots-noisy)*rows, l.bf16(), &ep, &f.half)
	d := f.buf(0, noisy*in)
	for s := range noisy {
		kernel.Sub(d[s*in:(s+1)*in], v[0][s*in:(s+1)*in], v[0][int(f.Base[s])*in:])
	}
	kernel.GemmHalf(out, l.out, d, l.in, noisy*rows, l.bf16(), nil, &f.half)
	for s := range noisy {
		b := int(f.Base[s]) * n
		kernel.AddTo(out[s*n:(s+1)*n], out[b:b+n])
	}
	act.apply(out[:f.Slots*n], out[:f.Slots*n])
	if res != nil {
		g.addResidual(out, v[at], n, *res)
	}
}
