package cuda

import (
	"fmt"
	"math"
	"testing"
)

// halfRig is a rig whose device runs the kernels of sm80.
func halfRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, Noise{Seed: seed})
	if c, _ := r.Limits(); c < capability80 {
		t.Skip("the device is older than compute capability 8.0")
	}
	return r
}

// asHalf rounds values to bf16, and gives the bits and the rounded values.
func asHalf(v []float32) (bits []uint16, rounded []float32) {
	for _, x := range v {
		y := float32(roundHalf(float64(x)))
		bits, rounded = append(bits, uint16(math.Float32bits(y)>>16)), append(rounded, y)
	}
	return bits, rounded
}

// halves downloads n values in bf16.
func (r *rig) halves(p Ptr, n int) []float32 {
	r.t.Helper()
	bits := make([]uint16, n)
	r.ok(r.Download(bytesOf(bits), p, Compute))
	out := make([]float32, n)
	for i, b := range bits {
		out[i] = math.Float32frombits(uint32(b) << 16)
	}
	return out
}

// off fails where the root mean square error exceeds a share of that of the
// reference, or a value is no number.
func off(t testing.TB, what string, got []float32, want []float64, share float64) {
	t.Helper()
	if e := relative(wide(got), want); !(e <= share) {
		t.Errorf("%s: off by %.2e of the reference, at most %.0e is rounding", what, e, share)
	}
}

// TestHalfConversions: to bf16 and back, and as a sum of three to the last bit.
func TestHalfConversions(t *testing.T) {
	r := halfRig(t)
	for _, n := range []int{1, 7, 8, 1003} {
		x := random(n, 3)
		x[0] = 1 + 1.0/256 // a tie, to the even neighbour
		in := put(r, x)
		out, gap := r.room(2*n), int64(n+16)/8*8
		r.ok(r.Round(out, in, int64(n)))
		_, want := asHalf(x)
		equal(t, "rounded", r.halves(out, n), want)
		back := r.room(4 * n)
		r.ok(r.Widen(back, out, int64(n)))
		equal(t, "widened", r.floats(back, n), want)
		parts := r.room(int(2 * gap * splitParts))
		r.ok(r.Split(parts, in, int64(n), gap))
		sum := make([]float32, n)
		for p := splitParts - 1; p >= 0; p-- {
			for i, v := range r.halves(parts+Ptr(2*gap*int64(p)), n) {
				sum[i] += v
			}
		}
		equal(t, "the sum of the parts", sum, x)
	}
}

// TestHalfRows compares norms and activation functions with float64: half a unit of
// bf16 is 2^-9 of a value, 1.2e-3 in the mean.
func TestHalfRows(t *testing.T) {
	r := halfRig(t)
	for _, d := range []int{8, 128, 768, 776, 1024, 2048} {
		const rows = 13
		x, gamma, beta := random(rows*d, 1), random(d, 2), random(d, 3)
		for i := range x {
			x[i] = 3 + 2*x[i]
		}
		out := r.room(2 * rows * d)
		r.ok(r.HalfNorm(out, put(r, x), put(r, gamma), put(r, beta), rows, d, 1e-6, false))
		w := &wideNet{p: map[string][]float64{"n.weight": wide(gamma), "n.bias": wide(beta)}}
		w.a.Eps = 1e-6
		var want []float64
		for i := range rows {
			want = append(want, w.norm("n", [][]float64{wide(x[i*d : (i+1)*d])})[0]...)
		}
		off(t, fmt.Sprint("norm of ", d), r.halves(out, rows*d), want, 3e-3)
	}
	const n = 8 * 400
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i-n/2) / 160
	}
	bits, rounded := asHalf(x)
	in, out := put(r, bits), r.room(2*n)
	for f, ref := range map[Function]func(float64) float64{
		GELU:      func(v float64) float64 { return v / 2 * math.Erfc(-v/math.Sqrt2) },
		TanhGELU:  func(v float64) float64 { return v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v))) },
		QuickGELU: func(v float64) float64 { return v / (1 + math.Exp(-1.702*v)) },
		SiLU:      func(v float64) float64 { return v / (1 + math.Exp(-v)) },
		ReLU:      func(v float64) float64 { return max(v, 0) },
		Identity:  func(v float64) float64 { return v },
	} {
		r.ok(r.HalfActivation(f, out, in, n))
		var want []float64
		for _, v := range rounded {
			want = append(want, ref(float64(v)))
		}
		off(t, fmt.Sprint("function ", f), r.halves(out, n), want, 3e-3)
	}
}

// TestHalfTokens: patches and the sequence equal those of floats, rounded.
func TestHalfTokens(t *testing.T) {
	r := halfRig(t)
	const slots, chans, high, across, patch, width = 3, 3, 24, 16, 8, 24
	img := random(slots*chans*high*across, 1)
	in := put(r, img)
	n := len(img)
	want, got := r.room(4*n), r.room(2*n)
	r.ok(r.Patches(want, in, slots, chans, high, across, patch))
	r.ok(r.HalfPatches(got, in, slots, chans, high, across, patch))
	_, rounded := asHalf(r.floats(want, n))
	equal(t, "patches", r.halves(got, n), rounded)

	const row, patches, tokens = 3, 6, 10
	bits, z := asHalf(random(slots*patches*width, 2))
	pos := put(r, random(patches*width, 3))
	for _, p := range []Ptr{pos, 0} {
		zero := make([]float32, slots*tokens*width)
		a, b := put(r, zero), put(r, zero)
		r.ok(r.Embed(a, put(r, z), p, slots, true, row, patches, tokens, width))
		r.ok(r.HalfEmbed(b, put(r, bits), p, slots, row, patches, tokens, width))
		equal(t, "sequence", r.floats(b, len(zero)), r.floats(a, len(zero)))
	}
}

// TestLevels: bytes become what the table says, at the slot's image.
func TestLevels(t *testing.T) {
	r := newRig(t, Noise{})
	const images, chans, plane = 3, 2, 36
	bytes, table := make([]uint8, images*chans*plane), random(256*chans, 1)
	for i := range bytes {
		bytes[i] = uint8(i * 37)
	}
	index := []int32{2, 0, 2, 1}
	const n = chans * plane
	out := r.room(4 * len(index) * n)
	r.ok(r.Levels(out, put(r, bytes), put(r, table), put(r, index), len(index), n, plane))
	want := make([]float32, len(index)*n)
	for s, i := range index {
		for j := range n {
			want[s*n+j] = table[j/plane*256+int(bytes[int(i)*n+j])]
		}
	}
	equal(t, "images", r.floats(out, len(want)), want)
}

// TestHalfAttention compares whole sequences with float64 over lengths that fill
// tiles and that do not, heads of every kernel and narrower ones, with keys and values
// in shared memory as a whole and in parts. Probabilities and the result are rounded
// to bf16: 4e-3.
func TestHalfAttention(t *testing.T) {
	r := halfRig(t)
	for _, c := range []struct{ slots, rows, tokens, heads, d int }{
		{2, 5, 5, 2, 32}, {1, 17, 17, 1, 64}, {2, 65, 65, 3, 8}, {1, 197, 197, 1, 64}, {3, 1, 50, 2, 64}, {1, 33, 257, 1, 80},
		{1, 40, 40, 1, 48}, {1, 20, 70, 1, 128}, {1, 16, 500, 1, 64}, {1, 100, 250, 1, 128},
	} {
		w := c.heads * c.d
		qb, q := asHalf(random(c.slots*c.rows*w, 1))
		kb, k := asHalf(random(c.slots*c.tokens*w, 2))
		vb, v := asHalf(random(c.slots*c.tokens*w, 3))
		out := r.room(2 * len(q))
		in := []Ptr{put(r, qb), put(r, kb), put(r, vb)}
		r.ok(r.HalfAttention(out, in[0], in[1], in[2], c.slots, c.rows, c.tokens, c.heads, c.d, c.heads*c.d, c.heads*c.d))
		rowsOf := func(x []float32, slot, n int) (m [][]float64) {
			for i := range n {
				m = append(m, wide(x[(slot*n+i)*w:(slot*n+i+1)*w]))
			}
			return m
		}
		net := &wideNet{}
		net.a.Hidden, net.a.Heads = w, c.heads
		var want []float64
		for s := range c.slots {
			for _, row := range net.attention(rowsOf(q, s, c.rows), rowsOf(k, s, c.tokens), rowsOf(v, s, c.tokens)) {
				want = append(want, row...)
			}
		}
		off(t, fmt.Sprintf("attention %+v", c), r.halves(out, len(q)), want, 4e-3)
	}
}

// TestNoisyRow compares the row under noise made in registers with attention of
// stored noise, one by one and as pairs.
func TestNoisyRow(t *testing.T) {
	r := newRig(t, Noise{Seed: seed})
	const images, sigma, site, step = 2, 1e-3, 2, 5
	for _, c := range []struct{ tokens, heads, d, offset int }{{7, 2, 32, 0}, {21, 2, 64, 3}, {10, 1, 128, 1}} {
		w := c.heads * c.d
		q, k, v := random(images*w, 1), random(images*c.tokens*w, 2), random(images*c.tokens*w, 3)
		image, pair, sign := []int32{0, 0, 1, 1, 0, 0}, []int32{0, 0, 4, 4, 2, 2}, []int32{1, -1, 1, -1, -1, 1}
		n := len(image)
		s := Slots{Image: put(r, image), Pair: put(r, pair), Sign: put(r, sign), Sigma: put(r, []float32{0, 0, sigma}),
			Step: put(r, []uint32{step})}
		in := []Ptr{put(r, q), put(r, k), put(r, v)}
		scale := float32(1 / math.Sqrt(float64(c.d)))
		for at := range 3 {
			rows, offset := c.tokens, c.offset
			if at == 0 {
				rows, offset = 1, 0
			}
			noisy := r.room(4 * n * rows * w)
			r.ok(r.Perturb(noisy, in[at], s, n, site, rows, w, offset, rows-offset, true, Identity))
			from, index := append([]Ptr{}, in...), []Ptr{s.Image, s.Image, s.Image}
			from[at], index[at] = noisy, 0
			want := r.room(4 * n * w)
			r.ok(r.AttentionRow(want, from[0], from[1], from[2], index[0], index[1], index[2], n, c.tokens, c.heads, c.d, scale))
			stored := wide(r.floats(want, n*w))
			for _, paired := range []bool{false, true} {
				out := r.room(4 * n * w)
				r.ok(r.NoisyRow(at, out, in[0], in[1], in[2], s, n, site, c.tokens, c.heads, c.d, offset, scale, paired))
				off(t, fmt.Sprintf("%+v, noise at %d, paired %v", c, at, paired), r.floats(out, n*w), stored, 1e-6)
			}
		}
	}
}
