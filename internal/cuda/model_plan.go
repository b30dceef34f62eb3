package cuda

import (
	"fmt"
	"slices"

	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/vit"
	"gorgonia.org/gorgonia"
)

// queryRoom is how many queries, or terms of a gradient, the device is told of
// at once; longer lists go in parts. Tests make it small.
var queryRoom = 1 << 16

// layout is where everything of a model stands in its arena.
type layout struct {
	batch  int
	sites  []int
	params []Ptr
	images Ptr
	store  map[string]stored // clean activations, by vit.CleanPrefix and name
	taps   []string

	// Per query: what Slots holds. first, coef: terms of a gradient.
	slots       Slots
	first, coef Ptr

	losses, logits, features, sumsq Ptr
	grads                           []Ptr // per parameter: sum of its gradient
	gradBytes                       int64 // largest of them
	sums                            Ptr   // workspace of column sums
	region                          Ptr
	regionBytes                     int64

	pinned  [][]byte
	queries []byte // page-locked: five arrays of queryRoom int32, then σ and step
	pixels  []byte // page-locked: the images of a batch
	answers []byte // page-locked: losses, logits, features, or a gradient
}

type stored struct {
	vit.Activation
	ptr Ptr
}

// slotsAt are the slots from a query of the list on.
func (l *layout) slotsAt(i int) Slots {
	at := func(p Ptr) Ptr { return p + Ptr(4*i) }
	return Slots{Image: at(l.slots.Image), Label: at(l.slots.Label), Pair: at(l.slots.Pair), Sign: at(l.slots.Sign), Sigma: l.slots.Sigma, Step: l.slots.Step}
}

// begin makes sure that the device is laid out for a batch and the suffixes of
// sites, and that its weights are those of the host.
func (m *Model) begin(b *query.Batch, sites []int) error {
	if err := m.check(b); err != nil {
		return err
	}
	if m.l == nil || (sites != nil && b.N > m.l.batch) || !contains(m.l.sites, sites) || !m.summed() {
		n, all := b.N, slices.Clone(sites)
		if m.l != nil {
			if sites != nil {
				n = max(n, m.l.batch)
			} else {
				n = m.l.batch
			}
			for _, s := range m.l.sites {
				if !slices.Contains(all, s) {
					all = append(all, s)
				}
			}
		}
		slices.Sort(all)
		if err := m.arrange(n, all); err != nil {
			return err
		}
	}
	return m.upload()
}

// summed says that every trained parameter has a place for its gradient.
func (m *Model) summed() bool {
	for i, p := range m.net.Params() {
		if p.Grad != nil && m.l.grads[i] == 0 {
			return false
		}
	}
	return true
}

func contains(have, want []int) bool {
	for _, s := range want {
		if !slices.Contains(have, s) {
			return false
		}
	}
	return true
}

// arrange lays the arena out anew: first on one that only counts, then on
// memory of that size.
func (m *Model) arrange(batch int, sites []int) error {
	if err := m.release(); err != nil {
		return err
	}
	taps, err := m.activations(sites)
	if err != nil {
		return err
	}
	measure := NewMeasure()
	if _, err := m.lay(measure, batch, sites, taps, 0); err != nil {
		return err
	}
	least, most, err := m.regions(batch, sites)
	if err != nil {
		return err
	}
	free, total, err := m.dev.Memory()
	if err != nil {
		return err
	}
	usable := free - free/16 // the driver and cuBLAS need some for themselves
	if measure.Used()+least > usable {
		return tooLarge(fmt.Sprintf("a batch of %d images with %d perturbed sites", batch, len(sites)), measure.Used()+least, usable, total, "train.batch_size")
	}
	region := min(most, usable-measure.Used()) / alignment * alignment
	if m.arena, err = NewArena(m.dev.Driver, measure.Used()+region, "train.batch_size"); err != nil {
		return err
	}
	if m.l, err = m.lay(m.arena, batch, sites, taps, region); err != nil {
		return err
	}
	m.Reload()
	if err := m.dev.Zero(m.l.region, region, Compute); err != nil { // slots out of use are read, and should hold numbers
		return err
	}
	return m.pin()
}

// regions is how much memory the programs need at least, with one slot, and
// what they can use at best.
func (m *Model) regions(batch int, sites []int) (least, most int64, err error) {
	c, err := m.compile(1, m.whole(m.tapNames(sites), sites))
	if err != nil {
		return 0, 0, err
	}
	pixels := 4 * int64(m.net.Pixels())
	least = c.vm.Bytes() + pixels
	for _, s := range sites {
		x, site := m.net.SiteInput(s, m.opt.Mask), m.net.Sites()[s]
		least = max(least, c.vm.Bytes()+4*int64(x.Rows)*int64(site.Out+site.In))
	}
	if m.backward {
		g, err := m.compile(1, m.gradient())
		if err != nil {
			return 0, 0, err
		}
		least = max(least, g.vm.Bytes())
	}
	least += slack
	return least, least * int64(min(max(batch, 16), m.opt.Slots)), nil
}

// lay takes everything from an arena.
func (m *Model) lay(a *Arena, batch int, sites []int, taps []vit.Activation, region int64) (*layout, error) {
	l := &layout{batch: batch, sites: sites, store: map[string]stored{}, regionBytes: region}
	var err error
	take := func(what string, values int64) (p Ptr) {
		if err == nil {
			p, err = a.Take(what, 4*values)
		}
		return p
	}
	classes, n := int64(m.net.Arch.Outputs()), int64(batch)
	for _, p := range m.net.Params() {
		l.params = append(l.params, take("weights", int64(len(p.Data))))
		var g Ptr
		if p.Grad != nil {
			g = take("gradients", int64(len(p.Data)))
			l.gradBytes = max(l.gradBytes, 4*int64(len(p.Data)))
		}
		l.grads = append(l.grads, g)
	}
	l.images = take("images", n*int64(m.net.Pixels()))
	for _, t := range taps {
		l.store[vit.CleanPrefix+t.Name] = stored{t, take("activations", n*int64(t.Rows)*int64(t.Width))}
		l.taps = append(l.taps, t.Name)
	}
	for _, p := range []*Ptr{&l.slots.Image, &l.slots.Label, &l.slots.Pair, &l.slots.Sign, &l.coef} {
		*p = take("queries", int64(queryRoom))
	}
	l.slots.Sigma = take("sigma", int64(len(m.net.Sites()))+1)
	l.slots.Step = l.slots.Sigma + Ptr(4*len(m.net.Sites()))
	l.first = take("terms", n+int64(queryRoom)+2)
	l.losses = take("losses", max(n, int64(queryRoom)))
	l.logits = take("logits", max(n, m.logitRoom())*classes)
	l.features = take("features", n*int64(m.net.Features().Width))
	l.sumsq = take("norms", n)
	l.sums = take("sums", ColumnSumWorkspace(int64(m.net.Widest()))/4)
	if m.dev.pointerRoom = 1 << 14; m.dev.pointerRoom < m.net.MostHeads() {
		m.dev.pointerRoom = m.net.MostHeads()
	}
	m.dev.pointers = take("operands", 6*int64(m.dev.pointerRoom))
	l.region = take("workspace", region/4)
	return l, err
}

// logitRoom is how many queries' logits are kept for an objective of the host.
func (m *Model) logitRoom() int64 { return int64(min(4096, queryRoom)) }

// activations lists what the clean pass keeps: what any suffix of these sites
// reads and the inputs of their linear maps.
func (m *Model) activations(sites []int) ([]vit.Activation, error) {
	need := map[string]vit.Activation{}
	var sets [][]int
	for _, s := range sites {
		x := m.net.SiteInput(s, m.opt.Mask)
		need[x.Name] = x
		sets = append(sets, []int{s})
	}
	if len(sites) > 1 {
		sets = append(sets, sites)
	}
	for _, set := range sets {
		p, err := m.net.SuffixProgram(1, set)
		if err != nil {
			return nil, err
		}
		for _, a := range p.Reads {
			need[a.Name] = a
		}
	}
	out := make([]vit.Activation, 0, len(need))
	for _, a := range need {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b vit.Activation) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out, nil
}

// tapNames are the activations of sites that a clean pass computes.
func (m *Model) tapNames(sites []int) []string {
	taps, err := m.activations(sites)
	if err != nil {
		return nil
	}
	var names []string
	for _, t := range taps {
		names = append(names, t.Name)
	}
	return names
}

// whole builds the forward with taps.
func (m *Model) whole(taps []string, sites []int) func(slots int) (*vit.Program, []string, error) {
	split, full := m.net.Needs(sites, m.opt.Mask)
	return func(slots int) (*vit.Program, []string, error) {
		p, err := m.net.WholeProgram(slots, split, full)
		return p, append([]string{m.net.Features().Name}, taps...), err
	}
}

// kept are the nodes whose values are read after a run.
func kept(p *vit.Program, taps []string) gorgonia.Nodes {
	keep := gorgonia.Nodes{p.Losses, p.Logits}
	for _, t := range taps {
		if n := p.Taps[t]; n != nil {
			keep = append(keep, n)
		}
	}
	return append(keep, p.Grads...)
}

// pin takes the page-locked memory that copies go through.
func (m *Model) pin() error {
	l := m.l
	get := func(b *[]byte, bytes int64) error {
		var err error
		if *b, err = m.dev.Pinned(int(bytes)); err == nil {
			l.pinned = append(l.pinned, *b)
		}
		return err
	}
	n := int64(l.batch)
	if err := get(&l.queries, 4*(5*int64(queryRoom)+int64(len(m.net.Sites()))+1+n+int64(queryRoom)+2)); err != nil {
		return err
	}
	if err := get(&l.pixels, 4*n*int64(m.net.Pixels())); err != nil {
		return err
	}
	return get(&l.answers, max(l.gradBytes, 4*(int64(queryRoom)+max(n, m.logitRoom())*int64(m.net.Arch.Outputs())+n*int64(m.net.Features().Width)+n)))
}

// release gives back what arrange took.
func (m *Model) release() error {
	var err error
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	keep(m.dev.Sync())
	if m.l != nil {
		for _, b := range m.l.pinned {
			keep(m.dev.Unpin(b))
		}
	}
	for _, a := range []*Arena{m.arena, m.saved} {
		if a != nil {
			keep(a.Close())
		}
	}
	m.arena, m.saved, m.l, m.originals, m.pass, m.pixelsOf = nil, nil, nil, nil, nil, nil
	m.progs, m.one = map[string]*compiled{}, map[string]int64{}
	return err
}
