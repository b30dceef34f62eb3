package vit

import "slices"

// outline is what a network's forward tells of itself when it is built once for
// one image: its activations in the order in which they are computed, what each
// reads and costs, and where a forward may start. All methods do nothing on a
// nil outline, which is that of every other graph.
type outline struct {
	steps      []outlined
	boundaries []Activation   // in their order; a graph may start at each
	at         []int          // per boundary: the steps before it
	masked     []Activation   // per site: what its map reads of the rows that reach the loss
	unmasked   []Activation   // per site: the same of all rows, where that is more
	links      []Link         // per site: what lies between its outputs and its anchor
	read       Runs           // rows of a block's output that the outputs are made of, by how they come to them
	first      int            // of these
	same       map[int]int    // per site of a block's output or of a bias: that of the map before it
	origin     map[int]string // per site of a norm or of tokens: the activation that it moves
	placed     bool           // attention depends on where rows stand, other than by what they hold
	features   Activation
	widest     int          // width of the widest activation
	most       int          // attention heads
	functions  map[int]bool // sites with an activation function after them
}

// outlined is one activation of the outline.
type outlined struct {
	Activation
	reads []int // earlier steps
	uses  []int // parameters
	flops int64 // multiplications and additions of its matrix products
	site  int   // whose map it is, −1: none's
	twice bool  // differentiated by two products of its size, as attention is
	dead  bool  // of rows that nothing reads
}

// outlineOf builds the forward of a network and notes what it meets; the sites
// are made on the way.
func outlineOf(n *Net) (*outline, error) {
	o := &outline{}
	g := newGraph(n, 1)
	g.out, g.split, g.full, g.noise = o, true, true, map[int]bool{}
	logits, f := n.Arch.build(g)
	if g.err != nil {
		return nil, g.err
	}
	o.features = f.activation()
	for _, s := range o.steps {
		if s.Name == logits.name && s.site >= 0 {
			n.sites[s.site].Output = true
		}
	}
	o.anchored(n.sites)
	o.layers(n)
	for i, s := range n.sites {
		if o.unmasked[i].Name == "" {
			o.unmasked[i] = o.masked[i]
		}
		s.Live, s.Rows = o.masked[i].Rows, o.unmasked[i].Rows
		if s.Kind == Residual {
			s.Live, s.Rows = o.read.rows(), o.read.rows()
		}
		s.FLOPs = o.after(i)
		n.sites[i] = s
	}
	return o, nil
}

func (a act) activation() Activation { return Activation{a.name, a.rows, a.width} }

// begin notes an activation that is about to be computed of others.
func (o *outline) begin(a act, in []act, dead bool) {
	if o == nil {
		return
	}
	s := outlined{Activation: a.activation(), site: -1, dead: dead}
	for _, x := range in {
		for i, e := range o.steps {
			if e.Name == x.name {
				s.reads = append(s.reads, i)
			}
		}
	}
	o.steps = append(o.steps, s)
	o.widest = max(o.widest, a.width)
}

func (o *outline) last() *outlined { return &o.steps[len(o.steps)-1] }

// param notes that the activation being computed depends on a parameter.
func (o *outline) param(i int) {
	if o != nil && len(o.steps) > 0 {
		o.last().uses = append(o.last().uses, i)
	}
}

// site notes that the activation being computed is a site's map of x.
func (o *outline) site(i int, x act, l *linear, dead bool) {
	if o == nil {
		return
	}
	s := o.last()
	s.site, s.flops = i, mm(x.rows, l.out, l.in)
	for len(o.masked) <= i {
		o.masked, o.unmasked = append(o.masked, Activation{}), append(o.unmasked, Activation{})
	}
	if dead {
		o.unmasked[i] = x.activation()
	} else {
		o.masked[i] = x.activation()
	}
}

// deadInput notes what a site's map would read of rows that nothing reads.
func (o *outline) deadInput(i int, x act) {
	if o != nil {
		o.unmasked[i] = x.activation()
	}
}

// cost notes the products of an attention.
func (o *outline) cost(flops int64) {
	if o != nil {
		o.last().flops, o.last().twice = flops, true
	}
}

// place notes that what is computed of a row depends on where it stands.
func (o *outline) place() {
	if o != nil {
		o.placed = true
	}
}

// function notes what comes after a site's map.
func (o *outline) function(site int, f Act) {
	if o == nil || f == NoAct {
		return
	}
	if o.functions == nil {
		o.functions = map[int]bool{}
	}
	o.functions[site] = true
}

func (o *outline) heads(n int) {
	if o != nil {
		o.most = max(o.most, n)
	}
}

// bound notes a boundary.
func (o *outline) bound(h act) {
	if o == nil {
		return
	}
	o.boundaries, o.at = append(o.boundaries, h.activation()), append(o.at, len(o.steps))
}

// from is the cost of a forward that starts at a boundary, 0 being the images.
func (o *outline) from(boundary int) int64 {
	first := 0
	if boundary > 0 {
		first = o.at[boundary-1]
	}
	var n int64
	for _, s := range o.steps[first:] {
		if !s.dead {
			n += s.flops
		}
	}
	return n
}

// depends lists, for every step, whether it is one of those that start says or
// reads one, directly or not.
func (o *outline) depends(start func(s *outlined) bool) []bool {
	d := make([]bool, len(o.steps))
	for i := range o.steps {
		s := &o.steps[i]
		d[i] = start(s) || slices.ContainsFunc(s.reads, func(j int) bool { return d[j] })
	}
	return d
}

// rows is the length of the longest sequence of an image: its tokens.
func (o *outline) rows() int {
	n := 1
	for _, s := range o.steps {
		if !s.dead {
			n = max(n, s.Rows)
		}
	}
	return n
}

// noisy lists the steps that depend on the output of one of the sites, the maps
// themselves included.
func (o *outline) noisy(sites ...int) []bool {
	at, names := make([]int, len(sites)), []string{}
	for i, s := range sites {
		if at[i] = o.mapOf(s); o.origin[s] != "" {
			names = append(names, o.origin[s])
		}
	}
	return o.depends(func(s *outlined) bool {
		return !s.dead && (s.site >= 0 && slices.Contains(at, s.site) || slices.Contains(names, s.Name))
	})
}

// after is the cost of what follows the output of a site.
func (o *outline) after(site int) int64 {
	var n int64
	for i, yes := range o.noisy(site) {
		if s := &o.steps[i]; yes && !s.dead && s.site != o.mapOf(site) {
			n += s.flops
		}
	}
	return n
}

// resume is the last boundary before everything that depends on one of the
// parameters, 0 (the images) where there is none or no parameter is named. What
// the forward does not read, such as an objective's own parameter, bounds nothing.
func (o *outline) resume(params []int) int {
	if len(params) == 0 {
		return 0
	}
	first := len(o.steps)
	for i, s := range o.steps {
		if slices.ContainsFunc(s.uses, func(p int) bool { return slices.Contains(params, p) }) {
			first = i
			break
		}
	}
	n := 0
	for n < len(o.at) && o.at[n] <= first {
		n++
	}
	return n
}

// backward is the cost of the backward pass of one image for the parameters that
// trained says: one product per trained weight, or what is wanted of it, and one per map, two
// per attention, that lies between a trained parameter and the loss.
func (o *outline) backward(net *Net, trained func(param int) bool) int64 {
	below := o.depends(func(s *outlined) bool { return slices.ContainsFunc(s.uses, trained) })
	var n int64
	for _, s := range o.steps {
		if s.dead || s.flops == 0 {
			continue
		}
		if slices.ContainsFunc(s.reads, func(j int) bool { return below[j] }) {
			n += s.flops
			if s.twice {
				n += s.flops
			}
		}
		if s.site >= 0 && trained(net.sites[s.site].Weight) {
			n += net.weightFLOPs(s.site, s.Rows, s.flops)
		}
	}
	return n
}
