package query

import "github.com/flops-vit/flops/forward"

// Part is n images of a batch, from one on.
func Part(b *forward.Batch, first, n int) *forward.Batch {
	out := *b
	cut := func(v []float32) []float32 { return v[len(v)/b.Size*first : len(v)/b.Size*(first+n)] }
	out.Size, out.Inputs, out.Index = n, cut(b.Inputs), b.Index[first:first+n]
	out.Labels = b.Labels[min(first, len(b.Labels)):min(first+n, len(b.Labels))]
	if l := b.Levels; l != nil {
		each := len(l.Data) / b.Size
		out.Levels = &forward.Levels{Data: l.Data[each*first : each*(first+n)], Table: l.Table}
	}
	if b.Memory != nil {
		out.Memory = memory{b.Memory, first, n}
	}
	return &out
}

// memory is what is kept of some images of a batch.
type memory struct {
	all      forward.Memory
	first, n int
}

// Recall implements forward.Memory.
func (m memory) Recall(i int) ([]float32, error) { return m.all.Recall(m.first + i) }

// Keep implements forward.Memory.
func (m memory) Keep(i int, made []float32) error { return m.all.Keep(m.first+i, made) }

// Fill implements forward.Memory.
func (m memory) Fill(items []int) error {
	all := make([]int, 0, m.n)
	for _, i := range items {
		all = append(all, m.first+i)
	}
	if items == nil {
		for i := range m.n {
			all = append(all, m.first+i)
		}
	}
	return m.all.Fill(all)
}
