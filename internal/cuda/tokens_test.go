package cuda

import (
	"fmt"
	"math"
	"testing"
)

func TestPatches(t *testing.T) {
	for _, c := range []struct{ slots, chans, high, wide, patch int }{{1, 1, 2, 2, 2}, {2, 3, 6, 6, 3}, {3, 3, 8, 4, 2},
		{1, 2, 5, 5, 1}, {2, 1, 7, 11, 3}} {
		r := newRig(t, Noise{})
		img, want := random(c.slots*c.chans*c.high*c.wide, 1), []float64{}
		columns := c.wide / c.patch
		for s := 0; s < c.slots; s++ {
			for q := 0; q < c.high/c.patch*columns; q++ {
				for ch := 0; ch < c.chans; ch++ {
					for y := 0; y < c.patch; y++ {
						for x := 0; x < c.patch; x++ {
							want = append(want, float64(img[((s*c.chans+ch)*c.high+q/columns*c.patch+y)*c.wide+q%columns*c.patch+x]))
						}
					}
				}
			}
		}
		out := r.room(4 * len(want))
		r.ok(r.Patches(out, put(r, img), c.slots, c.chans, c.high, c.wide, c.patch))
		near(t, fmt.Sprintf("%+v", c), r.floats(out, len(want)), want, 0)
	}
}

func TestEmbed(t *testing.T) {
	r := newRig(t, Noise{})
	const slots, patches, width, tokens = 3, 4, 5, 7
	z, token, pos := random(slots*patches*width, 1), random(2*width, 2), random((patches+1)*width, 3)
	var want []float64
	for s := 0; s < slots; s++ {
		want = append(want, make([]float64, width)...) // a row that nothing is written to
		want = append(want, wide(token)...)
		for i := 0; i < patches*width; i++ {
			want = append(want, float64(z[s*patches*width+i]+pos[width+i]))
		}
	}
	out := put(r, make([]float32, len(want)))
	r.ok(r.Embed(out, put(r, token), 0, slots, false, 1, 2, tokens, width))
	r.ok(r.Embed(out, put(r, z), put(r, pos)+Ptr(4*width), slots, true, 3, patches, tokens, width))
	near(t, "sequence", r.floats(out, len(want)), want, 0)
}

// TestDrawnRows: rows are taken, and added up where some are the same.
func TestDrawnRows(t *testing.T) {
	r := newRig(t, Noise{})
	const slots, n, rows, width = 3, 4, 6, 5
	x, dy := random(slots*rows*width, 1), random(slots*n*width, 2)
	at := []int32{5, 0, 2, 0, 1, 1, 1, 3, 4, 5, 0, 2}
	var taken, added []float64
	for s := range slots {
		sum := make([]float64, rows*width)
		for j, row := range at[s*n : (s+1)*n] {
			for k := range width {
				taken = append(taken, float64(x[(s*rows+int(row))*width+k]))
				sum[int(row)*width+k] += float64(dy[(s*n+j)*width+k])
			}
		}
		added = append(added, sum...)
	}
	list, out := put(r, at), r.room(4*slots*rows*width)
	r.ok(r.GatherRows(out, put(r, x), list, slots, n, rows, width))
	near(t, "taken", r.floats(out, len(taken)), taken, 0)
	r.ok(r.ScatterRows(out, put(r, dy), list, slots, n, rows, width))
	near(t, "added", r.floats(out, len(added)), added, 1e-6)
}

func TestGatherSpreadAdd(t *testing.T) {
	r := newRig(t, Noise{})
	x, index := random(4*10, 1), []int32{3, 0, 3}
	out := r.room(4 * 3 * 7)
	px := put(r, x)
	r.ok(r.Gather(out, px, put(r, index), 3, 7, 10))
	var want []float64
	for _, i := range index {
		want = append(want, wide(x[i*10:i*10+7])...)
	}
	near(t, "gather", r.floats(out, 21), want, 0)
	r.ok(r.Gather(out, px, 0, 3, 7, 10))
	near(t, "first rows", r.floats(out, 7), wide(x[:7]), 0)
	wideOut := r.room(4 * 3 * 9)
	r.ok(r.Spread(wideOut, out, 3, 7, 9, 0))
	got := r.floats(wideOut, 27)
	if got[7] != 0 || got[8] != 0 || got[9] != x[10] || got[26] != 0 {
		t.Errorf("spread: %v", got)
	}
	a, b := random(300, 2), random(300, 3)
	sum := r.room(1200)
	r.ok(r.Add(sum, put(r, a), put(r, b), 300))
	for i, v := range r.floats(sum, 300) {
		if v != a[i]+b[i] {
			t.Fatalf("add: value %d is %v", i, v)
		}
	}
}

// attentionRef is softmax(scale·q kᵀ) v of one slot in float64.
func attentionRef(out []float64, q, k, v []float32, rows, tokens, heads, d int, scale float64) {
	width := heads * d
	p := make([]float64, tokens)
	s := make([]float32, tokens)
	for h := 0; h < heads; h++ {
		for i := 0; i < rows; i++ {
			for t := range s {
				dot := 0.0
				for c := 0; c < d; c++ {
					dot += float64(q[i*width+h*d+c]) * float64(k[t*width+h*d+c])
				}
				s[t] = float32(dot * scale)
			}
			softmaxRef(p, s, 0)
			for c := 0; c < d; c++ {
				sum := 0.0
				for t := range p {
					sum += p[t] * float64(v[t*width+h*d+c])
				}
				out[i*width+h*d+c] = sum
			}
		}
	}
}

func TestAttentionRow(t *testing.T) {
	for _, c := range []struct{ slots, images, tokens, heads, d int }{
		{1, 1, 1, 1, 1}, {2, 2, 5, 3, 4}, {3, 2, 65, 2, 32}, {2, 3, 197, 2, 64}, {1, 1, 33, 1, 130}, {2, 1, 50, 1, 80},
	} {
		r := newRig(t, Noise{})
		width := c.heads * c.d
		n := c.tokens * width
		q, k, v := random(c.slots*width, 1), random(c.images*n, 2), random(c.slots*n, 3)
		index := make([]int32, c.slots)
		want := make([]float64, c.slots*width)
		scale := float32(1 / math.Sqrt(float64(c.d)))
		for s := range index {
			i := (s*5 + 1) % c.images
			index[s] = int32(i)
			attentionRef(want[s*width:], q[s*width:], k[i*n:], v[s*n:], 1, c.tokens, c.heads, c.d, float64(scale))
		}
		out := r.room(4 * len(want))
		run := func() []float32 {
			r.ok(r.AttentionRow(out, put(r, q), put(r, k), put(r, v), 0, put(r, index), 0, c.slots, c.tokens, c.heads, c.d,
				scale))
			return r.floats(out, len(want))
		}
		got := run()
		near(t, fmt.Sprintf("%+v", c), got, want, 2e-6)
		if _, ok := r.Driver.(*hostDriver); ok {
			backwards(func() { equal(t, "threads in reverse", run(), got) })
		}
	}
}

// TestAttention runs whole matrices of queries, with keys and values looked up,
// and with a workspace that holds the scores of one slot only.
func TestAttention(t *testing.T) {
	for _, c := range []struct{ slots, images, rows, tokens, heads, d int }{{3, 2, 3, 5, 2, 7}, {2, 1, 65, 65, 1, 32},
		{1, 1, 197, 197, 1, 16}, {2, 2, 2, 33, 3, 4}} {
		r := newRig(t, Noise{})
		width := c.heads * c.d
		nq, nk := c.rows*width, c.tokens*width
		q, k, v := random(c.slots*nq, 1), random(c.images*nk, 2), random(c.images*nk, 3)
		index, want := make([]int32, c.slots), make([]float64, c.slots*nq)
		a := Attention{Slots: c.slots, Rows: c.rows, Tokens: c.tokens, Heads: c.heads, HeadDim: c.d,
			Scale: float32(1 / math.Sqrt(float64(c.d)))}
		for s := range index {
			i := (s + 1) % c.images
			index[s] = int32(i)
			attentionRef(want[s*nq:], q[s*nq:], k[i*nk:], v[i*nk:], c.rows, c.tokens, c.heads, c.d, float64(a.Scale))
		}
		at := func(p Ptr, slot int, index Ptr) Operand {
			return Operand{Ptr: p, Ld: width, Slot: int64(slot), Head: int64(c.d), Index: index}
		}
		look := put(r, index)
		a.Q, a.K, a.V = at(put(r, q), nq, 0), at(put(r, k), nk, look), at(put(r, v), nk, look)
		out := r.room(4 * c.slots * nq)
		whole := attentionWork(c.slots, c.heads, c.rows, c.tokens)
		one := attentionWork(1, c.heads, c.rows, c.tokens)
		for _, bytes := range []int64{whole, one} {
			r.ok(r.Attention(out, a, r.room(int(bytes)), bytes))
			near(t, fmt.Sprintf("%+v in %d bytes", c, bytes), r.floats(out, c.slots*nq), want, 2e-6)
		}
		if err := r.Attention(out, a, out, 4); err == nil {
			t.Error("a workspace of four bytes was accepted")
		}
	}
}
