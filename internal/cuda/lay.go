package cuda

import (
	"fmt"
	"slices"

	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// Lay arranges the device anew where it has no room for what a layout names. What
// was asked before keeps its place, so that layouts which take turns are arranged
// once.
func (d *backend) Lay(l vit.Layout) (images int, moved bool, err error) {
	if err := d.knows(l); err != nil {
		return 0, false, err
	}
	if d.l != nil {
		l = joined(d.l.asked, l)
	}
	if l.Images > queryRoom {
		return 0, false, fmt.Errorf("cuda: a batch of %d images is more than the %d that the device numbers",
			l.Images, queryRoom)
	}
	if d.l == nil || !d.fits(l) {
		moved = true
		if err := d.arrange(l); err != nil {
			return 0, true, err
		}
	}
	return d.l.asked.Images, moved, nil
}

// knows refuses a derivative of an objective that is the host's.
func (d *backend) knows(l vit.Layout) error {
	var what string
	switch {
	case !d.hostLoss:
	case l.Gradient:
		what = "estimator.name: bp"
	case d.layered(l):
		what = "estimator.surrogate: local"
	}
	if what == "" {
		return nil
	}
	return uierr.New(what+" of the objective "+d.loss+" is not computed on a GPU",
		"set train.device: cpu, or objective.kind: cross_entropy")
}

// joined is what two layouts ask. One without a pass takes the images that there
// is room for, part by part.
func joined(have, l vit.Layout) vit.Layout {
	out := have
	if l.Pass {
		out.Images = max(have.Images, l.Images)
	}
	out.Gradient = have.Gradient || l.Gradient
	f, g := &out.Forward, &l.Forward
	f.Split, f.Full, f.Features = f.Split || g.Split, f.Full || g.Full, f.Features || g.Features
	out.Weights = slices.Clone(have.Weights)
	for _, i := range l.Weights {
		if !slices.Contains(have.Weights, i) {
			out.Weights = append(out.Weights, i)
		}
	}
	out.Sites, out.Inputs = slices.Clone(have.Sites), slices.Clone(have.Inputs)
	for k, s := range l.Sites {
		if !slices.Contains(have.Sites, s) {
			out.Sites, out.Inputs = append(out.Sites, s), append(out.Inputs, l.Inputs[k])
		}
	}
	out.Keep, f.Keep = slices.Clone(have.Keep), slices.Clone(have.Forward.Keep)
	for _, a := range l.Keep {
		if !slices.Contains(have.Keep, a) {
			out.Keep, f.Keep = append(out.Keep, a), append(f.Keep, a.Name)
		}
	}
	return out
}

// fits says that there is room for a layout joined with what was asked before, and
// for the sum of every trained parameter's gradient.
func (d *backend) fits(l vit.Layout) bool {
	a := &d.l.asked
	if l.Images > a.Images || len(l.Sites) > len(a.Sites) || len(l.Keep) > len(a.Keep) || l.Gradient != a.Gradient {
		return false
	}
	for i, p := range d.net.Params() {
		if p.Grad != nil && (d.l.grads[i] == 0 || d.held.on && len(d.l.kept[i]) != d.held.kept) {
			return false
		}
	}
	return len(l.Weights) == len(a.Weights)
}

// arrange lays the arena out anew: first on one that only counts, then on
// memory of that size.
func (d *backend) arrange(asked vit.Layout) error {
	if err := d.release(); err != nil {
		return err
	}
	d.sites = d.noisy(asked.Sites)
	measure := NewMeasure()
	if _, err := d.lay(measure, asked, 0); err != nil {
		return err
	}
	least, most, err := d.regions(asked)
	if err != nil {
		return err
	}
	free, total, err := d.dev.Memory()
	if err != nil {
		return err
	}
	usable := free - free/16 // the driver and cuBLAS need some for themselves
	if measure.Used()+least > usable {
		what := fmt.Sprintf("a batch of %d images with %d perturbed sites", asked.Images, len(asked.Sites))
		return tooLarge(what, measure.Used()+least, usable, total, "train.batch_size")
	}
	region := min(most, usable-measure.Used()) / alignment * alignment
	if d.arena, err = NewArena(d.dev.Driver, measure.Used()+region, "train.batch_size"); err != nil {
		return err
	}
	if d.l, err = d.lay(d.arena, asked, region); err != nil {
		return err
	}
	for i := range d.stale {
		d.stale[i] = true
	}
	if d.l.library != 0 {
		d.dev.blas.lt.give(d.l.library, ltWorkspace)
	}
	if err := d.dev.Zero(d.l.region, region, Compute); err != nil { // slots out of use are read, and should hold numbers
		return err
	}
	return d.pin()
}

// noisy names the sites that carry noise, and the maps whose outputs those of whole
// blocks come after.
func (d *backend) noisy(sites []int) map[string]bool {
	names := map[string]bool{}
	for _, s := range sites {
		names[d.net.Sites()[s].Name], names[d.net.Sites()[d.net.MapOf(s)].Name] = true, true
	}
	return names
}

// regions is how much memory the programs need at least, with one slot, and
// what they can use at best.
func (d *backend) regions(l vit.Layout) (least, most int64, err error) {
	whole, err := d.bytes(&l.Forward)
	if err != nil {
		return 0, 0, err
	}
	least = whole
	for k, s := range l.Sites {
		x, site := l.Inputs[k], d.net.Sites()[s]
		n, width := int64(x.Rows)*int64(site.Out), int64(d.net.Widest())
		least = max(least, whole+4*int64(x.Rows)*int64(site.Out+site.In), guidedBytes(n, width, width, 1))
	}
	for _, a := range l.Keep { // a forward may start at any of them
		least = max(least, whole+4*int64(a.Rows)*int64(a.Width))
	}
	layers, err := d.layerBytes(l)
	if err != nil {
		return 0, 0, err
	}
	least = max(least, layers)
	if d.held.kind == query.RuleMuon {
		least = max(least, d.muonWork())
	}
	if l.Gradient {
		var wrt []int
		for i, p := range d.net.Params() {
			if p.Grad != nil && p.Role != "temperature" {
				wrt = append(wrt, i)
			}
		}
		gradient, err := d.bytes(&vit.Forward{Features: true, Split: true, Params: wrt})
		if err != nil {
			return 0, 0, err
		}
		least = max(least, gradient)
	}
	least += slack
	return least, least * int64(min(max(l.Images, 16), d.slots)), nil
}

// muonWork is that of the largest trained matrix, as a step cuts tensors.
func (d *backend) muonWork() (most int64) {
	for _, p := range d.net.Params() {
		if p.Grad != nil {
			most = max(most, muonWork(query.Matrix(p.Shape)))
		}
	}
	return most
}
