package kernel

import (
	"fmt"
	"math/rand"
	"testing"
)

// vitShapes are the products of a vision transformer's linear layers, m×n×k:
// the small model of the experiments at one image and at a micro-batch, and
// ViT-B/16 at a batch of 8 (and of 16).
var vitShapes = [][3]int{
	{65, 128, 128}, {65, 384, 128}, {65, 512, 128}, {65, 128, 512},
	{1, 128, 128}, {4, 512, 128}, {20, 512, 128},
	{4158, 128, 128}, {4158, 512, 128}, {4158, 128, 512},
	{1568, 768, 768}, {1568, 3072, 768}, {1568, 768, 3072}, {3152, 3072, 768},
}

func reportRate(b *testing.B, m, n, k int) {
	b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

func BenchmarkGemm(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	for _, s := range vitShapes {
		m, n, k := s[0], s[1], s[2]
		b.Run(fmt.Sprintf("%dx%dx%d", m, n, k), func(b *testing.B) {
			a, w, c := randn(r, m*k), randn(r, n*k), make([]float32, m*n)
			var p Packed
			var s Scratch
			p.PackNT(w, n, k, k)
			b.ReportAllocs()
			for b.Loop() {
				Gemm(c, n, a, k, m, &p, nil, &s)
			}
			reportRate(b, m, n, k)
		})
	}
}

// BenchmarkGemmTN is the weight gradient of one image (k = 65 rows) and of a
// batch.
func BenchmarkGemmTN(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	for _, s := range [][3]int{{128, 384, 65}, {512, 128, 65}, {384, 128, 4160}, {10, 128, 1}, {512, 128, 1},
		{3072, 768, 1576}} {
		m, n, k := s[0], s[1], s[2]
		b.Run(fmt.Sprintf("%dx%dx%d", m, n, k), func(b *testing.B) {
			x, y, c := randn(r, k*m), randn(r, k*n), make([]float32, m*n)
			var s Scratch
			b.ReportAllocs()
			for b.Loop() {
				GemmTN(c, n, x, m, y, n, m, n, k, true, &s)
			}
			reportRate(b, m, n, k)
		})
	}
}

// BenchmarkPack packs a layer's weight for both directions.
func BenchmarkPack(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	for _, s := range [][2]int{{512, 128}, {3072, 768}} {
		n, k := s[0], s[1]
		w := randn(r, n*k)
		var p Packed
		b.Run(fmt.Sprintf("NT/%dx%d", n, k), func(b *testing.B) {
			b.SetBytes(int64(4 * n * k))
			for b.Loop() {
				p.PackNT(w, n, k, k)
			}
		})
		b.Run(fmt.Sprintf("NN/%dx%d", n, k), func(b *testing.B) {
			b.SetBytes(int64(4 * n * k))
			for b.Loop() {
				p.PackNN(w, n, k, k)
			}
		})
	}
}
