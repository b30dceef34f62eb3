package cuda

import (
	"slices"

	"github.com/flops-vit/flops/internal/vit"
	"gorgonia.org/gorgonia"
)

// Layers says that the graph of one block alone is run, and its derivative.
func (d *backend) Layers() bool { return true }

// layered says that queries were asked at the outputs of whole blocks.
func (d *backend) layered(l vit.Layout) bool {
	return slices.ContainsFunc(l.Sites, func(s int) bool { return d.net.Sites()[s].Kind == vit.Residual })
}

// layerBytes is the most that one image asks of the region for a block's derivative, of
// however many rows, and for that of what comes after the last block.
func (d *backend) layerBytes(l vit.Layout) (most int64, err error) {
	take := func(f vit.Forward) {
		if err == nil {
			var n int64
			n, err = d.bytes(&f)
			most = max(most, n)
		}
	}
	trained := func(of []int) []int {
		return slices.DeleteFunc(of, func(i int) bool { return d.net.Params()[i].Grad == nil })
	}
	if d.layered(l) {
		take(vit.Forward{From: d.net.Boundaries(), Split: true, Params: trained(d.net.Top()), Below: true})
	}
	for _, i := range l.Sites {
		s := d.net.Sites()[i]
		if s.Kind != vit.Residual {
			continue
		}
		rows := d.net.Boundary(s.Block + 1).Rows
		one := s.Live == 1 // row is read, and others may be drawn beside it
		f := vit.Forward{From: s.Block, To: s.Block + 1, Split: true, Params: trained(d.net.Within(s.Block, s.Block+1)),
			Below: s.Block > 0}
		if len(f.Params) > 0 || f.Below {
			take(f)
		}
		if f.Pooled = true; rows > 1 && one && len(f.Params) > 0 {
			f.Drawn = rows - 1
			take(f)
		}
	}
	return most, err
}

// behind places in memory what the slots of a run begin with, and where it ends at a
// boundary what weighs the values there. It says where that memory ends.
func (p *compiled) behind(f *vit.Forward, r *Run, from Ptr) (end Ptr) {
	end = from
	take := func(values int) (at Ptr) {
		at, end = end, end+Ptr(align(4*int64(values)))
		return at
	}
	input := func(n *gorgonia.Node) Ptr {
		if n == nil {
			return 0
		}
		return take(n.Shape().TotalSize())
	}
	r.Images = input(p.Start)
	if f.To > 0 {
		r.Seed, r.Rest, r.Rows = input(p.Seed), input(p.Rest), take(p.Slots*f.Drawn)
	}
	return end
}

// begin puts behind a program's values what the slots of a run begin with, and where it
// ends at a boundary what weighs the values there.
func (d *backend) begin(p *compiled, f *vit.Forward, r *Run, at int) error {
	p.behind(f, r, d.l.region+Ptr(align(p.vm.Bytes())))
	if p.Start != nil {
		if err := d.start(*r, f, at); err != nil {
			return err
		}
	}
	if f.To == 0 {
		return nil
	}
	some := func(v []float32) []float32 {
		size := len(v) / len(d.list.Queries)
		return v[at*size : (at+r.N)*size]
	}
	err := d.dev.Upload(r.Seed, raw(some(d.list.Ends)), Compute)
	if err != nil || p.Rest == nil {
		return err
	}
	if err := d.dev.Upload(r.Rest, raw(some(d.list.Rest)), Compute); err != nil {
		return err
	}
	return d.dev.Upload(r.Rows, raw(d.list.Rows[at*f.Drawn:(at+r.N)*f.Drawn]), Compute)
}

// below downloads the gradient by what n slots began with.
func (d *backend) below(p *compiled, f *vit.Forward, at, n int) error {
	size := p.Start.Shape().TotalSize() / p.Slots
	return d.dev.Download(raw(d.list.Below[at*size:(at+n)*size]), p.vm.Value(p.Grads[len(f.Params)]), Compute)
}
