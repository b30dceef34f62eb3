package forward

import (
	"fmt"
	"math"
	"testing"

	"github.com/flops-vit/flops/noise"
)

// TestLocalByHand: over some steps, the gradient at the rows read of every layer, what is
// added up at other rows and the Jacobians are those written down once more in byHand, for
// one row and for runs of several, pairs and single directions, uneven counts, drawn items,
// every κ and with all that can be left out.
func TestLocalByHand(t *testing.T) {
	counts, drawn, chance := []int{2, 6, 4, 2}, []int{2, 0, 4, 2}, []float32{0.5, 0.25, 1, 0.75}
	for k, o := range []LocalOptions{
		{Kappa: 1, Gain: 0.6, Scaled: true, Weigh: true, Above: true},
		{Kappa: 1, Gain: 0.6, Weigh: true, Warmup: 2},
		{Kappa: -1, Gain: 0.3, Scaled: true, Above: true},
		{Kappa: -1, Gain: 0.3, Scaled: true},
		{Kappa: 0, Gain: 0.6, Weigh: true, Scaled: true, Above: true, RowAlone: true},
		{Kappa: 1, Gain: 0.3, Above: true, Options: Options{Antithetic: true}},
	} {
		for _, runs := range [][]int{{1}, {1, 4}} {
			for _, draws := range []bool{false, true} {
				name := fmt.Sprintf("%d, runs %v, drawn %v", k, runs, draws)
				m := newLadder(3, 4, runs...)
				e, f := ladderOf(t, m, o)
				h := &byHand{m: m, o: o, mo: make([]moment, 3)}
				for _, j := range f.j {
					h.j = append(h.j, doubles(j))
				}
				for step := range uint32(5) {
					s := &Step{Number: step, Counts: counts}
					if draws {
						s.Counts, s.Chance = drawn, chance
					}
					records := m.step(t, e, s)
					if err := e.Learn(s, records); err != nil {
						t.Fatal(err)
					}
					at := h.step(step, s.Counts, s.Chance)
					learns := step >= o.Warmup
					if p := Touched(m, records); (m.top > 0) != learns || (len(p) == 4) != learns || len(p) > 0 && !learns {
						t.Errorf("%s, step %d: %d parameters have a gradient, %d after the layers", name, step, len(p), m.top)
					}
					for i, v := range e.Variances(m, s, records)[0] {
						if s.Counts[i] == 0 && v == v || s.Counts[i] > 0 && !(math.Abs(v-h.v[i]) <= 1e-3*h.v[i]) {
							t.Errorf("%s, step %d, item %d: a variance of %v, want %v", name, step, i, v, h.v[i])
						}
					}
					var rest []float32
					for b := 2; b >= 0; b-- {
						if !learns {
							at[b] = nil
						}
						same(t, fmt.Sprintf("%s, step %d, layer %d", name, step, b), m.got[b].At, flat(at[b]))
						wantRest := rest
						if o.RowAlone {
							wantRest = nil
						}
						same(t, fmt.Sprintf("%s, step %d, other rows of layer %d", name, step, b), m.got[b].Rest, doubles(wantRest))
						if learns && b > 0 {
							down := m.leaves(b, m.got[b].At)
							for i, v := range rest {
								down[i] += v
							}
							rest = down
						}
						same(t, fmt.Sprintf("%s, step %d, Jacobian of layer %d", name, step, b), f.j[b], h.j[b])
					}
				}
			}
		}
	}
}

// TestLocalDrawnUnbiased: with wrong and fixed Jacobians and all of the correction, the mean
// over noise and over draws of items is the gradient at the rows of every layer's output, within 4.5
// standard errors, with and without that after the last layer.
func TestLocalDrawnUnbiased(t *testing.T) {
	for _, above := range []bool{false, true} {
		m := newLadder(2, 3, 1)
		e, _ := ladderOf(t, m, LocalOptions{Kappa: 1, Gain: 0.5, Above: above})
		sums := make([]sample, 2*m.items*ladderWidth)
		chance := []float32{0.3, 0.6, 1}
		for k := range uint32(3000) {
			s := &Step{Number: k, Counts: []int{2, 1, 3}, Chance: chance}
			r := noise.Rand(13, noise.Test, k)
			for i := range s.Counts {
				if float32(r.Float64()) >= chance[i] {
					s.Counts[i] = 0
				}
			}
			m.step(t, e, s)
			for b, g := range m.got {
				for j, v := range g.At {
					sums[b*len(g.At)+j].add(float64(v))
				}
			}
		}
		for j := range sums {
			b, i, k := j/(m.items*ladderWidth), j/ladderWidth%m.items, j%ladderWidth
			want := m.known(b, i)[k] / float64(m.items)
			if above && b == 1 {
				if math.Abs(sums[j].sum/sums[j].n-want) > 1e-6 {
					t.Errorf("the last layer, item %d: %v is known, got %v", i, want, sums[j].sum/sums[j].n)
				}
			} else if z := sums[j].z(want); math.Abs(z) > limit {
				t.Errorf("above %v, layer %d, item %d: mean %.4g, exact %.4g, %.1f standard errors apart", above, b, i,
					sums[j].sum/sums[j].n, want, z)
			}
		}
	}
}

// TestLocalScales: how much of the gradient after the last layer belongs to one below it,
// and by what the Jacobians' predictions are to be multiplied, is found whichever items are asked: here
// 0.7 of it and twice these, while the item of the largest gradient has ten times the queries.
func TestLocalScales(t *testing.T) {
	for _, above := range []bool{true, false} {
		m := newLadder(2, 4, 1)
		e, f := ladderOf(t, m, LocalOptions{Gain: 1e-6, Scaled: true, Above: above})
		for i := range m.items {
			for k := range m.by[0][i] {
				if m.by[0][i][k] = 2 * float64(f.j[0][k]); above {
					m.by[0][i][k] = 0.7 * m.by[1][i][k]
				}
			}
		}
		if clear(f.j[1]); above {
			clear(f.j[0])
		}
		mean, n := 0.0, 0.0
		for k := range uint32(900) {
			s := &Step{Number: k, Counts: []int{2, 2, 2, 20}}
			if err := e.Learn(s, m.step(t, e, s)); err != nil {
				t.Fatal(err)
			}
			if k >= 100 {
				is := f.scale(&LocalOptions{Scaled: true}, 0)
				if above {
					is = f.share(0)
				}
				mean, n = mean+float64(is), n+1
			}
		}
		want := 2.0
		if above {
			want = 0.7
		}
		if got := mean / n; math.Abs(got-want) > 0.05*want {
			t.Errorf("above %v: %.3f, want %v", above, got, want)
		}
	}
}

// TestLocalRowsByHand: the other rows of a layer's output are drawn with chances that follow
// the lengths of their gradients, and each is divided by its chance.
func TestLocalRowsByHand(t *testing.T) {
	m := newLadder(3, 4, 1)
	e, _ := ladderOf(t, m, LocalOptions{Gain: 0.5, Above: true, Rows: 0.3})
	const k, W = 2, ladderWidth // of four rows
	compared, rows := 0, map[int32]bool{}
	for step := range uint32(40) {
		m.step(t, e, &Step{Number: step, Counts: []int{1, 1, 1, 1}})
		rest := m.leaves(2, m.got[2].At)
		for i := range m.items {
			all, size, most := rest[i*ladderRows*W:], make([]float64, ladderRows), 0.0
			var sum float64
			for r := 1; r < ladderRows; r++ {
				size[r] = math.Sqrt(float64(dot(all[r*W:(r+1)*W], all[r*W:(r+1)*W])))
				sum, most = sum+size[r], max(most, size[r])
			}
			if k*most > sum { // that row is drawn for certain
				continue
			}
			for j, r := range m.got[1].Rows[i*k : (i+1)*k] {
				for c, v := range m.got[1].Rest[(i*k+j)*W : (i*k+j+1)*W] {
					want := float64(all[int(r)*W+c]) * sum / (k * size[r])
					if r == 0 || math.Abs(float64(v)-want) > 1e-4*(1e-3+math.Abs(want)) {
						t.Fatalf("step %d, item %d, row %d: %v, want %v", step, i, r, v, want)
					}
				}
				compared, rows[r] = compared+1, true
			}
		}
	}
	if compared < 40 || len(rows) != ladderRows-1 {
		t.Errorf("%d rows compared, of %d places", compared, len(rows))
	}
}

// TestLocalCost: a step takes its queries from the lowest layer on, what comes after the
// layers twice for an item, computed again and differentiated, and twice for a direction,
// and what each layer says of itself at the rows read, at all and below.
func TestLocalCost(t *testing.T) {
	for _, c := range []struct {
		o     LocalOptions
		step  uint32
		flops int64 // of 4 items and 6 queries
	}{
		{LocalOptions{Above: true, Rows: 0.3}, 0, 6*1000 + 2*4*10 + 2*6*10 + 4*((1+4)+(1+(7-1)*2/4+4)+(1+(7-1)*2/4))},
		{LocalOptions{Above: true, Options: Options{Antithetic: true}}, 0,
			6*1000 + 2*4*10 + 2*3*10 + 4*((1+4)+(7+4+2)+7)},
		{LocalOptions{RowAlone: true, Warmup: 1}, 1, 6*1000 + 2*4*10 + 4*(1+1+1)},
		{LocalOptions{Warmup: 1}, 0, 6 * 1000},
		{LocalOptions{Above: true, Warmup: 1}, 0, 6*1000 + 2*4*10 + 2*6*10},
	} {
		m := newLadder(3, 4, 1)
		for b := range m.layers {
			x := &m.layers[b]
			x.RowFLOPs, x.AllFLOPs, x.BelowFLOPs, x.AgainFLOPs = 1, 7, 4, 2
		}
		c.o.Gain = 0.5
		e, _ := ladderOf(t, m, c.o)
		if asked, flops := e.StepCost(m, c.step, 4, 6); asked != 6 || flops != c.flops {
			t.Errorf("%+v: %d operations, want %d", c.o, flops, c.flops)
		}
	}
}
