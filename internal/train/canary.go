package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"sync"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/noise"
)

// Canary is the SHA-256 of what this machine makes of fixed numbers by every kernel that
// a step goes through: products, also in bf16, GELU, softmax, layer norm, attention, noise
// and AdamW. Two machines whose canaries are the same make the same bits of a run.
var Canary = sync.OnceValue(func() string {
	h := sha256.New()
	add := func(v []float32) {
		for _, x := range v {
			_ = binary.Write(h, binary.LittleEndian, math.Float32bits(x)) // a hash takes everything
		}
	}
	const m, n, k = 19, 70, 600 // beyond a block of every engine, and with edges
	x, w, y := ramp(m*k, 1), ramp(k*n, 2), make([]float32, m*n)
	var p kernel.Packed
	var s kernel.Scratch
	p.PackNN(w, k, n, n)
	kernel.Gemm(y, n, x, k, m, &p, &kernel.Epilogue{Bias: w[:n]}, &s)
	add(y)
	kernel.GemmTN(w, n, x, k, y, n, k, n, m, true, &s)
	add(w)
	kernel.GELU(y, y)
	add(y)
	kernel.LayerNormRows(y, n, ramp(m*n, 3), n, m, n, ramp(n, 4), ramp(n, 5), 1e-6, nil, nil)
	add(y)
	var a kernel.AttentionScratch
	kernel.Attention(y, 48, ramp(m*48, 6), 48, m, ramp(m*48, 7), 48, ramp(m*48, 8), 48, m, 2, 24, 0.2, nil, nil, &a)
	add(y)
	var half kernel.Half
	var t kernel.HalfScratch
	half.PackNT(w, k, n, n)
	z := make([]float32, m*k)
	kernel.GemmHalf(z, k, ramp(m*n, 12), n, m, &half, &kernel.Epilogue{Bias: x[:k]}, &t)
	add(z)
	for _, law := range []noise.Law{noise.Normal, noise.Sign} {
		src := noise.Independent(law, 7)
		src.AddScaled(y, ramp(m*n, 9), 0.01, noise.Counter{Step: 1, Site: 2, Image: 3, Pair: 4}, 5)
		add(y)
		src.Axpy(y, 0.3, noise.Counter{Step: 1, Pair: 1}, 0)
		add(y)
	}
	if o, err := optim.New("adamw", optim.Options{WeightDecay: 0.1, Workers: 1}); err == nil {
		param := &forward.Param{Name: "canary", Shape: []int{n}, Data: ramp(n, 10), Grad: ramp(n, 11), Decay: true}
		for range 3 {
			o.Step([]*forward.Param{param}, 1e-3)
		}
		add(param.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
})

// ramp is n numbers that no two kernels can agree on by chance.
func ramp(n int, seed float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(math.Sin(seed + 1.37*float64(i)))
	}
	return v
}
