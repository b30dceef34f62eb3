package vit

import (
	"slices"
)

// Precisions of the CPU's matrix products.
const (
	FP32 = "fp32"
	BF16 = "bf16"
)

// Halved says which of a network's maps multiply in bf16.
type Halved struct {
	Maps, Of    int   // how many do, of all but those to the outputs
	FLOPs       int64 // of theirs in a forward
	OfFLOPs     int64 // of all maps
	Differences bool  // queries multiply what the noise changed; else none reaches one of these maps
	Few         bool  // they do not, because an image has too few of them
}

// halve has the maps that is says multiply in bf16.
func (n *Net) halve(is func(site int) bool, differences bool) {
	for s, l := range n.linears {
		if l != nil {
			l.half = is(s)
			l.values = l.half && !differences
		}
	}
}

// attendsInHalf says that a block's attention multiplies in bf16 as the map after it
// does: where no query goes through it.
func (n *Net) attendsInHalf(block int) bool {
	i, ok := n.bySite[siteKey{AttnOut, block}]
	return ok && n.linears[i].values
}

// halved counts the maps that is says.
func (n *Net) halved(is func(site int) bool) (h Halved) {
	for i := range n.out.steps {
		s := &n.out.steps[i]
		if s.dead || s.site < 0 {
			continue
		}
		h.OfFLOPs += s.flops
		if n.sites[s.site].Output {
			continue
		}
		if h.Of++; is(s.site) {
			h.Maps++
			h.FLOPs += s.flops
		}
	}
	return h
}

// differs says that what follows noisy sites multiplies in bf16 somewhere.
func (n *Net) differs(sites []int) bool {
	if len(sites) == 0 {
		return false
	}
	after := n.out.noisy(sites...)
	return slices.ContainsFunc(n.out.steps, func(s outlined) bool {
		return s.site >= 0 && n.linears[s.site].half && slices.ContainsFunc(s.reads, func(j int) bool { return after[j] })
	})
}

// Halve chooses, of a model whose Options say Half, the maps that multiply in bf16
// while queries perturb these sites, so many of an image at once, and these parameters
// themselves or their gradient is asked. Where noise begins in the last block, parameters
// are among it, or an image has too few queries (Net.differencesPay), it is the maps that
// nothing trained or noisy comes before: what is perturbed stays float32. Else it is all
// but those to the outputs, and a query multiplies the differences from its image without
// noise, which keeps the signal where rounded values would drown it.
func (m *Model) Halve(sites, params []int, queries float64) Halved {
	var is func(site int) bool
	is, m.differences, m.few = m.net.halves(sites, params, queries)
	m.net.halve(is, m.differences)
	if c, ok := m.b.(*cpu); ok {
		c.rebuild()
	}
	return m.Rounded()
}

// CouldHalve is what Halve would say.
func (m *Model) CouldHalve(sites, params []int, queries float64) Halved {
	is, differences, few := m.net.halves(sites, params, queries)
	h := m.net.halved(is)
	h.Differences, h.Few = differences, few
	return h
}

// Rounded says which maps multiply in bf16 now.
func (m *Model) Rounded() Halved {
	h := m.net.halved(func(s int) bool { return m.net.linears[s] != nil && m.net.linears[s].half })
	h.Differences, h.Few = m.differences, m.few
	return h
}

// spread says that noise at sites alone begins before the last block.
func (n *Net) spread(sites, params []int) bool {
	last := len(n.out.boundaries) - 1
	return len(params) == 0 && slices.ContainsFunc(sites, func(s int) bool {
		x := n.sites[s]
		return x.Kind == PatchEmbed || x.Block >= 0 && x.Block < last
	})
}

// Nanoseconds that differencesPay counts with, of one thread: a multiplication and
// addition in float32 and in bf16 by AVX512_BF16, the least of the units that gain, and
// what comes with each value of a map's output, which differences cannot leave to the
// product (docs/performance/bf16.md).
const (
	singleTime, halfTime   = 2. / 110, 2. / 220
	singleValue, halfValue = 0.7, 1.1
)

// differencesPay says whether queries by differences take less time than in float32,
// when an image has so many at once, which share its slot without noise. It counts with
// fixed times, so that every machine chooses alike and a run has the same bits on all.
func (n *Net) differencesPay(queries float64) bool {
	var products, values float64 // of all maps of a forward
	for i := range n.out.steps {
		if s := &n.out.steps[i]; s.site >= 0 && !s.dead {
			in := float64(n.sites[s.site].In)
			products, values = products+float64(s.flops)/2, values+float64(s.flops)/2/in
		}
	}
	single, half := products*singleTime+values*singleValue, products*halfTime+values*halfValue
	return (1+1/max(queries, 1))*half < single
}

// halves are the maps that Halve chooses, whether queries multiply differences, and
// whether they do not because an image has too few.
func (n *Net) halves(sites, params []int, queries float64) (is func(site int) bool, differences, few bool) {
	spread := n.spread(sites, params)
	if spread && n.differencesPay(queries) {
		return func(s int) bool { return !n.sites[s].Output }, true, false
	}
	maps := make([]int, len(sites))
	for i, s := range sites {
		maps[i] = n.out.mapOf(s)
	}
	above := n.out.depends(func(s *outlined) bool {
		return s.site >= 0 && slices.Contains(maps, s.site) ||
			slices.ContainsFunc(s.uses, func(p int) bool { return slices.Contains(params, p) })
	})
	below := map[int]bool{}
	for i := range n.out.steps {
		if s := &n.out.steps[i]; s.site >= 0 && !s.dead && !above[i] {
			below[s.site] = !n.sites[s.site].Output
		}
	}
	return func(s int) bool { return below[s] }, false, spread
}

// differ lists the images of the slots after the first n, which carry no noise, and
// which of them each slot is a difference from.
func (f *Feed) differ(n int, images []int32) {
	for s := range n {
		f.Base[s] = int32(s)
		if len(images) > 0 {
			f.Base[s] = int32(n + slices.Index(images, f.Image[s]))
			f.Target[f.Base[s]] = f.Target[s]
		}
	}
	for i, image := range images {
		s := n + i
		f.Image[s], f.Pair[s], f.Sign[s], f.Base[s] = image, 0, 0, int32(s)
	}
}

// bases is the number of slots that carry no noise, at the end.
func (f *Feed) bases() int {
	n := 0
	for s := f.Slots - 1; s >= 0 && f.Base[s] == int32(s); s-- {
		n++
	}
	return n
}
