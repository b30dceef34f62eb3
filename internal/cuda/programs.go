package cuda

import (
	"context"
	"fmt"
	"math/bits"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"gorgonia.org/gorgonia"
)

// compiled is a program and its VM.
type compiled struct {
	*vit.Program
	vm *VM
}

// slack is what rounding every value of a program up to the alignment may cost.
const slack = 1 << 17

func (d *backend) compile(slots int, f *vit.Forward) (*compiled, error) {
	p, err := d.shapes.Program(slots, f)
	if err != nil {
		return nil, err
	}
	use := Use{HostLoss: d.hostLoss, Sites: d.sites, Alone: f.Alone}
	if f.Alone {
		use.Sites = nil
	}
	vm, err := Compile(d.dev, p, use, p.Kept...)
	if err != nil {
		return nil, err
	}
	return &compiled{p, vm}, nil
}

// bytes is what one slot of a graph wants of the region: its values, what it
// starts from, and the noise and inputs that its sums are made of.
func (d *backend) bytes(f *vit.Forward) (int64, error) {
	key := fmt.Sprint(*f)
	if n, ok := d.one[key]; ok {
		return n, nil
	}
	c, err := d.compile(1, f)
	if err != nil {
		return 0, err
	}
	n := c.vm.Bytes() + int64(c.behind(f, &Run{}, 0))
	var sums int64
	for k, x := range f.Inputs {
		s := d.net.Sites()[f.Sites[k]]
		sums = max(sums, align(4*int64(x.Rows*s.Out))+align(4*int64(x.Rows*s.In)))
	}
	d.one[key] = n + sums
	return n + sums, nil
}

// program is the VM of a graph, with as many slots as are wanted and fit into the
// region.
func (d *backend) program(f *vit.Forward, want int) (*compiled, error) {
	if len(f.Sites) == 0 {
		want = min(want, d.slots)
	} else {
		want = 1 << bits.Len(uint(want-1)) // so that a list a little longer finds the program made
	}
	one, err := d.bytes(f)
	if err != nil {
		return nil, err
	}
	key, room := fmt.Sprint(*f), int(min((d.l.regionBytes-slack)/one, maxGridZ))
	if room > 1 {
		room -= room % 2 // so that the signs of a direction stay together
	}
	if c, ok := d.progs[key]; ok && (c.Slots >= want || c.Slots == room) {
		return c, nil
	}
	if room < 1 {
		return nil, uierr.New(fmt.Sprintf("train.device: one image asks for %s of GPU memory beside the weights and "+
			"activations, and %s are left", size(one), size(d.l.regionBytes)),
			"lower train.batch_size, or perturb fewer sites")
	}
	c, err := d.compile(min(want, room), f)
	if err != nil {
		return nil, err
	}
	if err := c.vm.Place(d.l.region, d.bind); err != nil {
		return nil, err
	}
	d.progs[key] = c
	return c, nil
}

// bind finds the inputs of a program.
func (d *backend) bind(name string) (Ptr, error) {
	if p, ok := d.l.store[name]; ok {
		return p.ptr, nil
	}
	if name, ok := strings.CutPrefix(name, halfPrefix); ok {
		if i := d.net.Index(name); i >= 0 && d.l.halves[i] != 0 {
			return d.l.halves[i], nil
		}
		return 0, fmt.Errorf("cuda: the graph reads %s in bf16, which is not on the device", name)
	}
	if i := d.net.Index(name); i >= 0 {
		return d.l.params[i], nil
	}
	return 0, fmt.Errorf("cuda: the graph reads %s, which is not on the device", name)
}

// Run evaluates micro-batches with nothing between them for the device to wait
// for.
func (d *backend) Run(ctx context.Context, f *vit.Forward, lo, hi int) error {
	p, err := d.program(f, hi-lo)
	if err != nil {
		return err
	}
	for at := lo; at < hi; at += p.Slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(p.Slots, hi-at)
		r := Run{N: n, Paired: paired(d.list.Queries[at : at+n]), Slots: d.l.slotsAt(at), Seed: d.l.coef + Ptr(4*at)}
		if err := d.begin(p, f, &r, at); err != nil {
			return err
		}
		p.vm.Set(r)
		if err := p.vm.RunAll(); err != nil {
			return err
		}
		if err := d.keep(p, f, at, n); err != nil {
			return err
		}
		if err := d.sum(p, f, at, n); err != nil {
			return err
		}
	}
	return nil
}

// paired says that queries are the signs + and − of one direction after another.
func paired(q []forward.Query) bool {
	for i := 0; i+1 < len(q); i += 2 {
		if q[i].Image != q[i+1].Image || q[i].Pair != q[i+1].Pair || q[i].Sign != -q[i+1].Sign {
			return false
		}
	}
	return len(q)%2 == 0
}

// start gathers what the slots of a run begin with: activations of a boundary, or
// images, which go up on the copy stream while the run before is computed.
func (d *backend) start(r Run, f *vit.Forward, at int) error {
	if d.list.Starts != nil {
		for i, x := range d.list.Starts[at : at+r.N] {
			if err := d.dev.Upload(r.Images+Ptr(4*i*len(x)), raw(x), Compute); err != nil {
				return err
			}
		}
		return nil
	}
	if f.From > 0 {
		x := d.l.store[vit.CleanPrefix+d.net.Boundary(f.From).Name]
		n := int64(x.Rows) * int64(x.Width)
		return d.dev.Gather(r.Images, x.ptr, r.Slots.Image, r.N, n, n)
	}
	need := 0
	for _, q := range d.list.Queries[at : at+r.N] {
		need = max(need, int(q.Image)+1)
	}
	if err := d.show(need); err != nil {
		return err
	}
	n := int64(d.net.Pixels())
	if d.batch.Levels == nil {
		return d.dev.Gather(r.Images, d.l.images, r.Slots.Image, r.N, n, n)
	}
	chans, _, _ := d.net.Arch.Input()
	return d.dev.Levels(r.Images, d.l.levels, d.l.table, r.Slots.Image, r.N, n, n/int64(chans))
}

// move copies n rows of a kept value, from a row of it on, to a row of floats.
func (d *backend) move(dst Ptr, p *compiled, value *gorgonia.Node, to, from, n, width int) error {
	dst, src := dst+Ptr(4*to*width), p.vm.Value(value)
	if p.vm.Half(value) {
		return d.dev.Widen(dst, src+Ptr(2*from*width), int64(n*width))
	}
	return d.dev.CopyWithin(dst, src+Ptr(4*from*width), int64(4*n*width), Compute)
}

// keep moves the results of n queries from at on to their places.
func (d *backend) keep(p *compiled, f *vit.Forward, at, n int) error {
	if f.Below {
		if err := d.below(p, f, at, n); err != nil {
			return err
		}
	}
	if f.To > 0 {
		return nil
	}
	var err error
	move := func(dst Ptr, value *gorgonia.Node, row, width int) {
		if err == nil {
			err = d.move(dst, p, value, row, 0, n, width)
		}
	}
	if d.list.Losses != nil && !d.hostLoss {
		move(d.l.losses, p.Losses, at, 1)
	}
	if d.logits() {
		move(d.l.logits, p.Logits, at, d.net.Arch.Outputs())
	}
	if f.Features {
		move(d.l.features, p.Taps[d.net.Features().Name], at, d.net.Features().Width)
	}
	for _, name := range f.Keep {
		t := d.l.store[vit.CleanPrefix+name]
		for lo, hi := 0, 0; lo < n && err == nil; lo = hi { // images that follow one another go in one piece
			image := int(d.list.Queries[at+lo].Image)
			for hi = lo + 1; hi < n && int(d.list.Queries[at+hi].Image) == image+hi-lo; hi++ {
			}
			err = d.move(t.ptr, p, p.Taps[name], image, lo, hi-lo, t.Rows*t.Width)
		}
	}
	return err
}
