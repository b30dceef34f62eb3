package cuda

import "github.com/flops-vit/flops/internal/vit"

// queryRoom is how many queries, or terms of a gradient, the device is told of
// at once; longer lists go in parts. Tests make it small.
var queryRoom = 1 << 16

// layout is where everything of a model stands in its arena.
type layout struct {
	asked  vit.Layout // and those before it
	params []Ptr
	halves []Ptr // of linear maps, in bf16 where something multiplies it: else 0
	images Ptr
	levels Ptr // images of bytes, and table what they stand for
	table  Ptr
	store  map[string]stored // clean activations, by vit.CleanPrefix and name

	// Per query: what Slots holds. first, coef: terms of a gradient.
	slots       Slots
	first, coef Ptr

	losses, logits, features, sumsq Ptr
	grads                           []Ptr       // per parameter: sum of its gradient
	gradBytes                       int64       // largest of them
	sums                            Ptr         // workspace of column sums
	kept                            [][]Ptr     // per parameter: what an optimizer keeps of it
	originals                       map[int]Ptr // of parameters that are perturbed
	squareBytes                     int64
	squares, bad                    Ptr    // sums of squares, and whether a step made no finite number
	shares                          [3]Ptr // tables of parameters: perturbed, copied, summed
	library                         Ptr    // workspace of cuBLASLt
	region                          Ptr
	regionBytes                     int64

	pinned  [][]byte
	queries []byte // page-locked: five arrays of queryRoom int32, then σ and step
	pixels  []byte // page-locked: the images of a batch, made when the first is shown
	bytes   []byte // page-locked: those of bytes, and their table
	given   []byte // page-locked: an activation that is handed over, made when the first is
	answers []byte // page-locked: losses, logits, features, or a gradient
}

type stored struct {
	vit.Activation
	ptr Ptr
}

// slotsAt are the slots from a query of the list on.
func (l *layout) slotsAt(i int) Slots {
	at := func(p Ptr) Ptr { return p + Ptr(4*i) }
	return Slots{Image: at(l.slots.Image), Label: at(l.slots.Label), Pair: at(l.slots.Pair), Sign: at(l.slots.Sign),
		Sigma: l.slots.Sigma, Step: l.slots.Step}
}

// lay takes everything from an arena.
func (d *backend) lay(a *Arena, asked vit.Layout, region int64) (*layout, error) {
	l := &layout{asked: asked, store: map[string]stored{}, regionBytes: region, originals: map[int]Ptr{}}
	var err error
	take := func(what string, values int64) (p Ptr) {
		if err == nil {
			p, err = a.Take(what, 4*values)
		}
		return p
	}
	classes, n := int64(d.net.Arch.Outputs()), int64(asked.Images)
	var squares int64
	for _, p := range d.net.Params() {
		l.params = append(l.params, take("weights", int64(len(p.Data))))
		var g Ptr
		if p.Grad != nil {
			g = take("gradients", int64(len(p.Data)))
			l.gradBytes = max(l.gradBytes, 4*int64(len(p.Data)))
		}
		l.grads = append(l.grads, g)
		var kept []Ptr
		for range d.held.kept {
			if p.Grad != nil {
				kept = append(kept, take("optimizer", int64(len(p.Data))))
			}
		}
		l.kept = append(l.kept, kept)
		squares += int64(squaresOf(len(p.Data)))
	}
	for _, i := range asked.Weights {
		l.originals[i] = take("originals", int64(len(d.net.Params()[i].Data)))
	}
	l.squares, l.bad, l.squareBytes = take("norms", 2*squares), take("norms", 1), 8*squares
	for i := range l.shares {
		l.shares[i] = take("operands", shareBytes*int64(len(l.params))/4)
	}
	l.halves = make([]Ptr, len(l.params))
	if d.dev.halves() {
		d.layHalves(l, take)
		l.library = take("library", ltWorkspace/4)
	}
	l.images = take("images", n*int64(d.net.Pixels()))
	chans, _, _ := d.net.Arch.Input()
	l.levels, l.table = take("images", (n*int64(d.net.Pixels())+3)/4), take("images", 256*int64(chans))
	for _, t := range asked.Keep {
		l.store[vit.CleanPrefix+t.Name] = stored{t, take("activations", n*int64(t.Rows)*int64(t.Width))}
	}
	for _, p := range []*Ptr{&l.slots.Image, &l.slots.Label, &l.slots.Pair, &l.slots.Sign, &l.coef} {
		*p = take("queries", int64(queryRoom))
	}
	l.slots.Sigma = take("sigma", int64(len(d.net.Sites()))+1)
	l.slots.Step = l.slots.Sigma + Ptr(4*len(d.net.Sites()))
	l.first = take("terms", n+int64(queryRoom)+2)
	l.losses = take("losses", max(n, int64(queryRoom)))
	l.logits = take("logits", max(n, logitRoom())*classes)
	l.features = take("features", n*int64(d.net.Features().Width))
	l.sumsq = take("norms", n)
	l.sums = take("sums", ColumnSumWorkspace(int64(d.net.Widest()))/4)
	if d.dev.pointerRoom = 1 << 14; d.dev.pointerRoom < d.net.MostHeads() {
		d.dev.pointerRoom = d.net.MostHeads()
	}
	d.dev.pointers = take("operands", 6*int64(d.dev.pointerRoom))
	l.region = take("workspace", region/4)
	return l, err
}

// outputRoom is how many queries' logits are kept, at most. Tests make it small.
var outputRoom = 4096

// logitRoom is how many are.
func logitRoom() int64 { return int64(min(outputRoom, queryRoom)) }

// pin takes the page-locked memory that copies go through.
func (d *backend) pin() error {
	l := d.l
	get := d.lock
	n := int64(l.asked.Images)
	if err := get(&l.queries, 4*(5*int64(queryRoom)+int64(len(d.net.Sites()))+1+n+int64(queryRoom)+2)); err != nil {
		return err
	}
	logits, features := max(n, logitRoom())*int64(d.net.Arch.Outputs()), n*int64(d.net.Features().Width)
	most := max(l.gradBytes, l.squareBytes, 4*(int64(queryRoom)+logits+features+n))
	for _, a := range l.asked.Keep { // one image's at least goes up or down in one piece
		most = max(most, 4*int64(a.Rows)*int64(a.Width))
	}
	return get(&l.answers, most)
}

// lock takes page-locked memory where b is none yet.
func (d *backend) lock(b *[]byte, bytes int64) (err error) {
	if *b != nil {
		return nil
	}
	if *b, err = d.dev.Pinned(int(bytes)); err == nil {
		d.l.pinned = append(d.l.pinned, *b)
	}
	return err
}

// release gives back what arrange took.
func (d *backend) release() error {
	var err error
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	keep(d.dev.Sync())
	if d.l != nil {
		keep(d.Fetch()) // what an optimizer made stays
		for _, b := range d.l.pinned {
			keep(d.dev.Unpin(b))
		}
	}
	for _, a := range append([]*Arena{d.arena}, d.saved...) {
		if a != nil {
			keep(a.Close())
		}
	}
	d.arena, d.saved, d.l, d.batch, d.list = nil, nil, nil, nil, nil
	d.perturbed, d.copied, d.summed, d.held.hosts = table{}, table{}, table{}, map[int][]*float32{}
	clear(d.begun)
	d.progs, d.one = map[string]*compiled{}, map[string]int64{}
	return err
}
