package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/noise"
)

func slots(r *rig, image, pair, sign []int32, sigma []float32, step uint32) Slots {
	return Slots{Image: put(r, image), Pair: put(r, pair), Sign: put(r, sign), Sigma: put(r, sigma),
		Step: put(r, []uint32{step})}
}

func source(n Noise) noise.Source {
	if n.Rademacher {
		return noise.Rademacher(n.Seed)
	}
	return noise.Gaussian(n.Seed)
}

// TestNoiseIsTheCPUs compares the device's noise with package noise over
// more than a million elements. Two units in the last place are allowed; the
// operations are the same ones, so that only the portable version's emulated
// multiply-add may differ, in one case in 2^29.
func TestNoiseIsTheCPUs(t *testing.T) {
	for _, rademacher := range []bool{false, true} {
		n := Noise{Seed: 0x9E3779B97F4A7C15, Rademacher: rademacher}
		r := newRig(t, n)
		const size = 1<<19 + 7
		want := make([]float32, size)
		source(n).Fill(want, noise.Counter{Step: 41, Site: 4095, Image: 3, Pair: 77}, 0)
		out, z := r.room(4*size), put(r, make([]float32, size))
		r.weights([]WeightShare{{Out: out, Z: z, N: size, Image: 3}}, []int32{77}, []float32{1}, 41)
		got, differ := r.floats(out, size), 0
		for i, g := range got {
			if g != want[i] {
				differ++
			}
			if u := ulps(g, float64(want[i])); u > 2 {
				t.Fatalf("element %d is %v, the CPU's is %v: %.1f ulp", i, g, want[i], u)
			}
		}
		if differ > size/100000 {
			t.Errorf("rademacher %v: %d of %d elements differ", rademacher, differ, size)
		}
	}
}

func TestPerturb(t *testing.T) {
	n := Noise{Seed: 5}
	src := source(n)
	for _, c := range []struct {
		slots, images, rows, width, offset, live int
		indexed, gelu                            bool
	}{
		{1, 1, 1, 1, 0, 1, false, false}, {3, 2, 1, 33, 0, 1, true, true}, {2, 2, 5, 7, 1, 4, false, false},
		{5, 3, 65, 12, 0, 65, true, false}, {2, 4, 197, 8, 1, 196, true, false},
		{3, 2, 65, 40, 0, 1, true, false}, {2, 2, 9, 33, 2, 3, false, true},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			r := newRig(t, n)
			image, pair, sign := make([]int32, c.slots), make([]int32, c.slots), make([]int32, c.slots)
			for s := range image {
				image[s], pair[s], sign[s] = int32((s*7+1)%c.images), int32(s/2), int32(1-2*(s%2))
			}
			sign[c.slots-1] = 0
			const site, step = 3, 9
			sigma := []float32{0, 0, 0, 0.25}
			size := c.rows * c.width
			from := c.slots
			if c.indexed {
				from = c.images
			}
			z := random(from*size, 1)
			out := r.room(4 * c.slots * size)
			r.ok(r.Perturb(out, put(r, z), slots(r, image, pair, sign, sigma, step), c.slots, site, c.rows, c.width, c.offset,
				c.live, c.indexed, geluIf(c.gelu)))
			got := r.floats(out, c.slots*size)
			for s := range image {
				i := s
				if c.indexed {
					i = int(image[s])
				}
				want := append([]float32{}, z[i*size:(i+1)*size]...)
				noisy := want[c.offset*c.width : (c.offset+c.live)*c.width]
				src.AddScaled(noisy, noisy, float32(sign[s])*sigma[site],
					noise.Counter{Step: step, Site: site, Image: uint32(image[s]), Pair: uint32(pair[s])}, 0)
				ref := make([]float64, size)
				for j, v := range want {
					ref[j] = float64(v)
					if c.gelu {
						ref[j] = geluRef(float64(v))
					}
				}
				near(t, fmt.Sprintf("slot %d", s), got[s*size:(s+1)*size], ref, 3e-7)
			}
		})
	}
}

func geluIf(yes bool) Function {
	if yes {
		return GELU
	}
	return Identity
}

func geluRef(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }

func TestNoiseSum(t *testing.T) {
	n := Noise{Seed: 77}
	r, src := newRig(t, n), source(n)
	const rows, size, step, site = 3, 65, 2, 11
	first := []int32{0, 2, 2, 5}
	image, pair := []int32{0, 0, 2, 2, 2}, []int32{0, 1, 0, 1, 9}
	coef := []float32{0.5, -1.25, 3, 1e-3, -0.75}
	out := r.room(4 * rows * size)
	r.ok(r.NoiseSum(out, put(r, first), put(r, image), put(r, pair), put(r, coef), rows, step, site, size))
	want := make([]float32, rows*size)
	for i := 0; i < rows; i++ {
		for j := first[i]; j < first[i+1]; j++ {
			src.Axpy(want[i*size:(i+1)*size], coef[j], noise.Counter{Step: step, Site: site, Image: uint32(image[j]),
				Pair: uint32(pair[j])}, 0)
		}
	}
	near(t, "E", r.floats(out, rows*size), wide(want), 1e-6)
}

// wide is what many comparisons here are of.
var wide = testkit.Float64s

// weights runs WeightsNoise.
func (r *rig) weights(shares []WeightShare, pair []int32, coef []float32, step uint32) {
	r.t.Helper()
	table, err := r.Shares(r.room(shareBytes*len(shares)), shares)
	r.ok(err)
	r.ok(r.WeightsNoise(table, put(r, pair), put(r, coef), len(pair), step, 4095))
}

// TestWeightsNoise writes several parameters at once, of sizes around those of blocks,
// some in place, some with a copy in bf16, and finds their neighbours untouched.
func TestWeightsNoise(t *testing.T) {
	n := Noise{Seed: 8}
	r, src := newRig(t, n), source(n)
	var shares []WeightShare
	var want [][]float32
	pair, coef := []int32{4, 9}, []float32{0.5, -0.25}
	for k, size := range []int{1, 8, 1024, 1025, 3000, 31} {
		z := random(size, uint32(k))
		s := WeightShare{Z: put(r, z), N: int64(size), Image: uint32(10 * k)}
		if s.Out = r.room(4 * size); k%2 == 1 {
			s.Out = s.Z
		}
		if k > 2 {
			s.Half = r.room(2 * size)
		}
		for j := range pair {
			src.Axpy(z, coef[j], noise.Counter{Step: 2, Site: 4095, Image: uint32(10 * k), Pair: uint32(pair[j])}, 0)
		}
		shares, want = append(shares, s), append(want, z)
	}
	r.weights(shares, pair, coef, 2)
	for k, s := range shares {
		got := r.floats(s.Out, len(want[k]))
		near(t, "parameter", got, wide(want[k]), 1e-6)
		if s.Half == 0 {
			continue
		}
		half := make([]uint16, len(got))
		r.ok(r.Download(bytesOf(half), s.Half, Compute))
		for i, h := range half {
			v := math.Float32frombits(uint32(h) << 16)
			if d := math.Abs(float64(v - got[i])); d > math.Abs(float64(got[i]))/256 {
				t.Fatalf("value %d of parameter %d is %v, in bf16 %v", i, k, got[i], v)
			}
		}
	}
}

func TestWeightNoiseAddsInPlace(t *testing.T) {
	n := Noise{Seed: 8, Rademacher: true}
	r, src := newRig(t, n), source(n)
	const size = 1001
	g := random(size, 4)
	pair, coef := []int32{0, 5, 6}, []float32{0.1, -0.2, 0.3}
	p := put(r, g)
	r.weights([]WeightShare{{Out: p, Z: p, N: size, Image: 12}}, pair, coef, 1)
	for j := range pair {
		src.Axpy(g, coef[j], noise.Counter{Step: 1, Site: 4095, Image: 12, Pair: uint32(pair[j])}, 0)
	}
	near(t, "gradient", r.floats(p, size), wide(g), 1e-6)
}

func TestNoiseOfRefusesSequences(t *testing.T) {
	if _, err := NoiseOf("gaussian", "sobol", 1); err == nil {
		t.Error("sobol was accepted")
	}
	if _, err := NoiseOf("cauchy", "none", 1); err == nil {
		t.Error("cauchy was accepted")
	}
	if n, err := NoiseOf("rademacher", "none", 3); err != nil || !n.Rademacher || n.Seed != 3 {
		t.Errorf("NoiseOf: %+v, %v", n, err)
	}
}
