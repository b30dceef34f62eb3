package cuda

import (
	"github.com/flops-vit/flops/internal/vit"
	"gorgonia.org/gorgonia"
)

// whole says that no residual in bf16 meets one in floats.
func (f *formats) whole(order gorgonia.Nodes) bool {
	for _, n := range order {
		s, in := specOf(n), vit.Inputs(f.graph, n)
		switch {
		case s.Kind == vit.OpLinear && hasResidual(s):
			if f.half[n] != f.half[in[len(in)-1]] {
				return false
			}
		case s.Kind == vit.OpEmbed:
			if f.half[n] && !f.half[in[0]] {
				return false
			}
		}
	}
	return true
}

// join finds attentions whose query, keys and values, or the last two, are maps of one
// value that nothing else reads, by weights that stand one after another: one product
// makes them, in the attention itself.
func (f *formats) join(d *Device, order gorgonia.Nodes, keep []*gorgonia.Node) {
	kept := map[*gorgonia.Node]bool{}
	for _, n := range keep {
		kept[n] = true
	}
	for _, n := range order {
		s := specOf(n)
		if s.Kind != vit.OpAttention || !f.half[n] || s.Biased {
			continue
		}
		for _, first := range []int{0, 1} {
			maps := vit.Inputs(f.graph, n)[first:3]
			if !f.alike(d, maps, kept) {
				continue
			}
			f.joined[n] = first
			for _, c := range maps {
				f.inside[c] = true
			}
			break
		}
	}
}

// alike says that maps may be one product.
func (f *formats) alike(d *Device, maps gorgonia.Nodes, kept map[*gorgonia.Node]bool) bool {
	var x *gorgonia.Node
	before := ""
	for i, c := range maps {
		s, in := specOf(c), vit.Inputs(f.graph, c)
		if s.Kind != vit.OpLinear || s.Act != vit.NoAct || hasResidual(s) || !f.half[c] || kept[c] || len(f.reads[c]) != 1 ||
			!f.half[in[0]] || s.Bias != specOf(maps[0]).Bias || len(s.Indexed) > 0 && s.Indexed[0] {
			return false
		}
		weight := in[1].Name()
		if i > 0 && (in[0] != x || d.next[before] != weight) {
			return false
		}
		x, before = in[0], weight
	}
	return true
}

// prolong keeps what joined maps read until their attention.
func (f *formats) prolong(order gorgonia.Nodes, last map[*gorgonia.Node]int) {
	for i, n := range order {
		if first, ok := f.joined[n]; ok {
			x := vit.Inputs(f.graph, vit.Inputs(f.graph, n)[first])[0]
			last[x] = max(last[x], i)
		}
	}
}

// neighbours are the weights of maps that are kept one after another on the device: of a
// weight's name, the next. Those of query, key and value of a block are, where they are
// alike.
func neighbours(n *vit.Net) map[string]string {
	next, blocks := map[string]string{}, map[int][3]int{}
	for i, s := range n.Sites() {
		for k, kind := range []string{vit.Query, vit.Key, vit.Value} {
			if s.Kind == kind && s.Weight >= 0 {
				b := blocks[s.Block]
				b[k] = i + 1
				blocks[s.Block] = b
			}
		}
	}
	for _, b := range blocks {
		if b[0] == 0 || b[1] == 0 || b[2] == 0 {
			continue
		}
		q, k, v := n.Sites()[b[0]-1], n.Sites()[b[1]-1], n.Sites()[b[2]-1]
		if q.In != k.In || q.Out != k.Out || k.In != v.In || k.Out != v.Out || (q.Bias < 0) != (k.Bias < 0) ||
			(k.Bias < 0) != (v.Bias < 0) || q.In%8 != 0 || q.Out%8 != 0 {
			continue
		}
		name := func(i int) string { return n.Params()[i].Name }
		next[name(q.Weight)], next[name(k.Weight)] = name(k.Weight), name(v.Weight)
		if q.Bias >= 0 {
			next[name(q.Bias)], next[name(k.Bias)] = name(k.Bias), name(v.Bias)
		}
	}
	return next
}

// layHalves takes memory for the copies in bf16 of linear maps, neighbours as one piece.
func (d *backend) layHalves(l *layout, take func(what string, values int64) Ptr) {
	l.halves = make([]Ptr, len(l.params))
	after := map[string]bool{}
	for _, name := range d.dev.next {
		after[name] = true
	}
	size := func(i int) int64 { return int64(len(d.net.Params()[i].Data)) }
	for _, s := range d.net.Sites() {
		for _, i := range s.Params() {
			name := d.net.Params()[i].Name
			if after[name] || l.halves[i] != 0 {
				continue // with the first of them
			}
			chain := []int{i}
			for name = d.dev.next[name]; name != ""; name = d.dev.next[name] {
				chain = append(chain, d.net.Index(name))
			}
			at := take("weights in bf16", (int64(len(chain))*size(i)+1)/2)
			for k, j := range chain {
				l.halves[j] = at + Ptr(2*int64(k)*size(i))
			}
		}
	}
}
