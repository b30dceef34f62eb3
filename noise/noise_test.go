package noise

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

// The vectors are Random123's kat_vectors for philox4x32-10.
func TestPhiloxKnownAnswers(t *testing.T) {
	const ff = 0xffffffff
	for _, c := range []struct {
		ctr    [4]uint32
		k0, k1 uint32
		want   [4]uint32
	}{
		{[4]uint32{}, 0, 0, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{ff, ff, ff, ff}, ff, ff, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0, [4]uint32{0xd16cfe09,
			0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(c.ctr, c.k0, c.k1); got != c.want {
			t.Errorf("philox(%08x) = %08x, want %08x", c.ctr, got, c.want)
		}
	}
}

// sources are the ways to make one, by the name of the sequence.
var sources = map[string]func(Law, uint64) Source{"none": Independent, "sobol": Sobol, "halton": Halton}

func newSource(kind, qmc string, seed uint64) Source {
	law := Normal
	if kind == Sign.String() {
		law = Sign
	}
	return sources[qmc](law, seed)
}

var everySource = [][2]string{{"gaussian", "none"}, {"rademacher", "none"}, {"gaussian", "sobol"}, {"rademacher",
	"sobol"}, {"gaussian", "halton"}, {"rademacher", "halton"}}

// TestElementOrder recomputes elements one by one from the package comment.
func TestElementOrder(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const seed = 0xa4093822_299f31d0
		c := Counter{Step: 0xfffffff1, Site: 4095, Image: 77, Pair: 1<<20 - 1}
		got := make([]float32, 256)
		newSource("gaussian", "none", seed).Fill(got, c, 0)
		signs := make([]float32, 256)
		newSource("rademacher", "none", seed).Fill(signs, c, 0)
		for o, v := range got {
			g, r := uint32(o/32), uint32(o%32)
			x := philox([4]uint32{g*8 + r%8, c.Pair | c.Site<<20, c.Image, c.Step}, seed&0xffffffff, seed>>32)
			w := r / 8
			a, b := x[w&2], x[w|1]
			u := (float64(a>>9) + 0.5) / (1 << 23)
			theta := 2 * math.Pi * (float64(int32(b<<2)>>11) + 0.5) / (1 << 23)
			theta += math.Pi / 2 * float64((b+1<<29)>>30)
			rho := math.Sqrt(-2 * math.Log(u))
			want := rho * math.Cos(theta)
			if w&1 == 1 {
				want = rho * math.Sin(theta)
			}
			if d := math.Abs(float64(v) - want); d > 5e-7*math.Max(0.2, math.Abs(want)) {
				t.Fatalf("element %d is %g, want %g", o, v, want)
			}
			if (signs[o] < 0) != (x[w]>>31 == 1) {
				t.Fatalf("sign %d is %g for word %08x", o, signs[o], x[w])
			}
		}
	})
}

// TestFormsAgree holds the assembly to the portable version: the uniforms bit
// for bit (through the signs and, for the normals, 2 ulp).
func TestFormsAgree(t *testing.T) {
	for _, kind := range []string{"gaussian", "rademacher"} {
		s := &counted{rademacher: kind == "rademacher"}
		want := make([]float32, 1<<17)
		c := counter{0xfffff000, 5, 6, 7, 0x89abcdef, 0x01234567} // the block number wraps
		s.groupsGeneric(fill, want, nil, 0, &c)
		eachLevel(t, func(t *testing.T) {
			got := make([]float32, len(want))
			s.groups(fill, got, nil, 0, &c)
			differ := 0
			for i, v := range got {
				if v != want[i] {
					differ++
				}
				d := int64(math.Float32bits(v)) - int64(math.Float32bits(want[i]))
				if d < -2 || d > 2 || s.rademacher && d != 0 {
					t.Fatalf("%s %d: %g, portable %g", kind, i, v, want[i])
				}
			}
			t.Logf("%s: %d of %d differ in the last places", kind, differ, len(want))
		})
	}
}

func TestMethodsAndOffsetsAgree(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, k := range everySource {
			s := newSource(k[0], k[1], 3)
			c := Counter{Step: 9, Site: 3, Image: 2, Pair: 5}
			const n = 300
			all, z := make([]float32, n), make([]float32, n)
			s.Fill(all, c, 0)
			for i := range z {
				z[i] = float32(i) * 0.37
			}
			for offset := range 70 {
				for _, n := range []int{0, 1, 31, 32, 33, 64, 97, 200} {
					got := make([]float32, n+1)
					got[n] = 42
					s.Fill(got[:n], c, offset)
					for i, v := range got[:n] {
						if v != all[offset+i] {
							t.Fatalf("%s: Fill at %d+%d gives %g, from 0 %g", s.Name(), offset, i, v, all[offset+i])
						}
					}
					s.AddScaled(got[:n], z, 0.01, c, offset)
					again := append([]float32(nil), z[:n]...)
					s.Axpy(again, 0.01, c, offset)
					for i, v := range got[:n] {
						e := float32(math.FMA(float64(float32(0.01)), float64(all[offset+i]), float64(z[i])))
						if v != e || again[i] != e {
							t.Fatalf("%s: AddScaled %g, Axpy %g, want %g", s.Name(), v, again[i], e)
						}
					}
					if got[n] != 42 {
						t.Fatalf("%s: wrote beyond %d elements", s.Name(), n)
					}
				}
			}
		}
	})
}

func TestNothingAllocatedAndConcurrent(t *testing.T) {
	for _, k := range everySource {
		s := newSource(k[0], k[1], 3)
		dst := make([]float32, 1000)
		if n := testkit.Allocations(t, 5, func() {
			s.Fill(dst, Counter{Pair: 1}, 3)
			s.AddScaled(dst, dst, 0.5, Counter{Pair: 2}, 0)
			s.Axpy(dst, 0.5, Counter{Pair: 3}, 1)
		}); n != 0 {
			t.Errorf("%s: %v allocations", s.Name(), n)
		}
		var wait sync.WaitGroup
		got := make([][]float32, 4)
		for w := range got {
			wait.Go(func() {
				got[w] = make([]float32, 500)
				s.Fill(got[w], Counter{Pair: 7}, 0)
			})
		}
		wait.Wait()
		for w := range got {
			for i := range got[w] {
				if got[w][i] != got[0][i] {
					t.Fatalf("%s: goroutines disagree", s.Name())
				}
			}
		}
	}
}

func TestNames(t *testing.T) {
	for want, s := range map[string]Source{"gaussian": Gaussian(1), "rademacher": Rademacher(1),
		"gaussian/sobol":   Sobol(Normal, 1),
		"rademacher/sobol": Sobol(Sign, 1), "gaussian/halton": Halton(Normal, 1), "rademacher/halton": Halton(Sign,
			1)} {
		if s.Name() != want {
			t.Errorf("%s calls itself %s", want, s.Name())
		}
	}
}

func TestLongestDirections(t *testing.T) {
	for dim, s := range map[int]Source{0: Gaussian(1), 21201: Sobol(Normal, 1), 4096: Halton(Sign, 1)} {
		if got := MaxDim(s); got != dim {
			t.Errorf("%s: directions of %d elements, want %d", s.Name(), got, dim)
		}
		if dim > 0 {
			s.Fill(make([]float32, 1), Counter{}, dim-1)
			panics(t, "an element beyond the last", func() { s.Fill(make([]float32, 1), Counter{}, dim) })
		}
	}
}

func TestMistakesPanic(t *testing.T) {
	for _, s := range []Source{Gaussian(1), Sobol(Normal, 1)} {
		dst := make([]float32, 2)
		panics(t, "a pair beyond its limit", func() { s.Fill(dst, Counter{Pair: MaxPair}, 0) })
		panics(t, "a site beyond its limit", func() { s.Fill(dst, Counter{Site: MaxSite}, 0) })
		panics(t, "a negative offset", func() { s.Fill(dst, Counter{}, -1) })
		panics(t, "a short z", func() { s.AddScaled(dst, dst[:1:1], 1, Counter{}, 0) })
	}
}

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s is accepted", what)
		}
	}()
	f()
}

func BenchmarkNoise(b *testing.B) {
	const n = 65 * 128
	dst := make([]float32, n)
	for _, k := range everySource {
		s := newSource(k[0], k[1], 1)
		m := n
		if MaxDim(s) > 0 {
			m = 1024
		}
		for _, op := range []string{"fill", "addscaled"} {
			b.Run(fmt.Sprintf("%s/%s", s.Name(), op), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if op == "fill" {
						s.Fill(dst[:m], Counter{}, 0)
					} else {
						s.AddScaled(dst[:m], dst[:m], 1e-9, Counter{}, 0)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(m), "ns/element")
			})
		}
	}
}
