package lora

import (
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/testkit"
)

// TestThin: of the derivatives at a map and of what it read come the gradients that the
// weight's gives, for factors and for cores, and Through passes them on as they are; a
// weight that is not taken keeps its own.
func TestThin(t *testing.T) {
	whole, weights, _ := set(t)
	narrow, others, _ := set(t)
	core, between, _, _ := cores(t)
	thinCore, ones, _, _ := cores(t)
	const rows = 11
	for _, c := range []struct {
		whole, thin *Set
		w, t        []*forward.Param
		flops       int64 // of the first weight, 5 by 7: factors of rank 3, cores of 2
	}{
		{whole, narrow, weights, others, 4 * rows * 3 * (5 + 7)},
		{core, thinCore, between, ones, 2*rows*2*(5+7) + 2*rows*2*2},
	} {
		for _, s := range []*Set{c.whole, c.thin} {
			for i, p := range s.Params() {
				copy(p.Data, testkit.Fill(len(p.Data), 0.3*float64(i)))
			}
		}
		var made []*Thin
		c.thin.Thin(func(w *forward.Param, x *Thin) bool {
			if w != c.t[0] {
				return false
			}
			made = append(made, x)
			w.Grad = make([]float32, x.Values())
			return true
		})
		if len(made) != 1 || made[0].FLOPs(rows) != c.flops {
			t.Fatalf("%d are made, the first of %d operations, not %d", len(made), made[0].FLOPs(rows), c.flops)
		}
		first := c.t[1].Data[0] // of the weight that is not taken W₀ is a copy from now on
		c.t[1].Data[0]++
		if kept := c.thin.State(nil)[Prefix+Base(c.t[1].Name)+base]; kept[0] != first {
			t.Errorf("W₀ begins with %v, not %v", kept[0], first)
		}
		c.t[1].Data[0] = first
		before := slices.Clone(c.t[0].Data)
		c.whole.Merge()
		c.thin.Merge()
		w := make([]float32, len(before))
		made[0].Weight(w)
		if !slices.Equal(w, c.w[0].Data) || !slices.Equal(w, c.thin.Merged(c.t[0].Name, nil)) || slices.Equal(w, before) ||
			!slices.Equal(c.t[0].Data, before) || !slices.Equal(c.t[1].Data, c.w[1].Data) {
			t.Error("the weights are not those that are merged, or not where they belong")
		}
		if c.thin.Merged(c.t[1].Name, nil) != nil || c.whole.Merged(c.w[0].Name, nil) != nil {
			t.Error("a weight that holds what it is with its adapter is made again")
		}
		dz, x := testkit.Fill(rows*5, 1), testkit.Fill(rows*7, 2)
		clear(c.w[0].Grad)
		for r := range rows {
			for o := range 5 {
				for i := range 7 {
					c.w[0].Grad[o*7+i] += dz[r*5+o] * x[r*7+i]
				}
			}
		}
		copy(c.w[1].Grad, testkit.Fill(len(c.w[1].Grad), 5))
		copy(c.t[1].Grad, c.w[1].Grad)
		thin, s := &kernel.Thin{}, &kernel.Scratch{}
		for range 2 { // whatever the workspace held before
			made[0].Gradient(c.t[0].Grad, dz, x, rows, thin, s)
		}
		want, got := c.whole.Through(slices.Clone(c.w)), c.thin.Through(slices.Clone(c.t))
		if len(want) != len(got) {
			t.Fatalf("%d parameters, not %d", len(got), len(want))
		}
		for k, p := range want {
			for i, v := range p.Grad {
				if math.Abs(float64(v-got[k].Grad[i])) > 1e-4*(1+math.Abs(float64(v))) {
					t.Errorf("%s, number %d: %v, by the weight's gradient %v", p.Name, i, got[k].Grad[i], v)
				}
			}
		}
		c.thin.Narrow()() // has no weight's gradient to narrow
		c.thin.Clear()
		for _, p := range got[:len(got)/2] {
			if slices.Max(p.Grad) != 0 || slices.Min(p.Grad) != 0 {
				t.Errorf("%s is not cleared", p.Name)
			}
		}
	}
}

// TestSaves: gradients are made without the weight's where that takes less operations and
// numbers, of a weight of 32 by 32 for ranks below 8, and for cores below 14.
func TestSaves(t *testing.T) {
	for rank := 1; rank <= 32; rank++ {
		w := &forward.Param{Name: "a.weight", Shape: []int{32, 32}, Data: make([]float32, 32*32)}
		of := []Directions{{make([]float32, rank*32), make([]float32, rank*32)}}
		for _, c := range []struct {
			set  *Set
			most int
		}{{New([]*forward.Param{w}, Options{Rank: rank, Alpha: 1}), 7}, {NewCores([]*forward.Param{w}, rank, of), 13}} {
			c.set.Thin(func(_ *forward.Param, x *Thin) bool {
				if x.Saves() != (rank <= c.most) {
					t.Errorf("rank %d of %d saves: %v", rank, c.most, x.Saves())
				}
				return false
			})
		}
	}
}
