package cuda

import (
	"fmt"
	"slices"

	"github.com/flops-vit/flops/internal/vit"
	"gorgonia.org/gorgonia"
)

// VM runs a graph of fused ops on a device. It implements gorgonia.VM; a model
// prepares its runs with Set, which RunAll follows. Values live in a region of
// device memory, where an activation gives its place to a later one once it
// has been read for the last time.
type VM struct {
	dev      *Device
	steps    []step
	names    []string
	refs     map[*gorgonia.Node]*ref
	bytes    int64 // of the values; the workspace follows
	work     int64
	base     Ptr
	run      Run
	hostLoss bool
	formats  *formats
	extra    []*ref // inputs that no node stands for
}

// Run is what one run of a VM reads besides its graph: how many of the slots
// are in use, where the device finds what each evaluates, and where the images
// and the seed of a gradient stand.
type Run struct {
	N            int
	Paired       bool // slots 2i and 2i+1 are the two signs of one direction
	Slots        Slots
	Images, Seed Ptr
	Rows, Rest   Ptr // rows that are drawn, and what weighs their values
}

// step issues the kernels of one op.
type step func(r *Run) error

// ref is a value: in the region, or an input that is bound when the VM is
// placed or given with each run.
type ref struct {
	off  int64
	name string // of a bound input
	ptr  Ptr
	from func(*Run) Ptr // of an input given with each run
}

var _ gorgonia.VM = (*VM)(nil)

// Bind says where an input of a graph stands in device memory: a parameter by
// its name, or a clean activation by vit.CleanPrefix and its name.
type Bind func(name string) (Ptr, error)

// Use is what becomes of a program's answers.
type Use struct {
	HostLoss bool            // losses are not computed: the caller evaluates the objective from the logits
	Sites    map[string]bool // ops whose outputs are perturbed in queries that the losses are compared with
	Alone    bool            // no query is compared with them
}

// Compile plans what the kept nodes need. The VM then needs Bytes of device
// memory, which Place gives it. The values of kept nodes stay readable after a
// run.
func Compile(d *Device, p *vit.Program, u Use, keep ...*gorgonia.Node) (*VM, error) {
	order, last := vit.Schedule(p.Graph, keep...)
	m := &VM{dev: d, refs: map[*gorgonia.Node]*ref{}, hostLoss: u.HostLoss, formats: formatsOf(d, p, order, u, keep)}
	m.formats.prolong(order, last)
	order = slices.DeleteFunc(order, m.formats.within) // what it reads lives on a little longer than it must
	places, total := vit.Place(order, last, alignment/4)
	m.bytes = 4 * total
	for _, n := range order {
		m.refs[n] = &ref{off: 4 * places[n].At}
		s, work, err := m.build(p, n)
		if err != nil {
			return nil, err
		}
		if s == nil {
			continue
		}
		m.steps = append(m.steps, s)
		m.names = append(m.names, n.Op().String())
		m.work = max(m.work, work)
	}
	return m, nil
}

// Bytes is the size of the region that the VM needs.
func (m *VM) Bytes() int64 { return m.bytes + align(m.work) }

// Place gives the VM its region and binds its inputs.
func (m *VM) Place(region Ptr, bind Bind) error {
	m.base = region
	inputs := slices.Clone(m.extra)
	for _, r := range m.refs {
		if r.name != "" {
			inputs = append(inputs, r)
		}
	}
	for _, r := range inputs {
		var err error
		if r.ptr, err = bind(r.name); err != nil {
			return err
		}
	}
	return nil
}

// at is where a value stands in this run.
func (m *VM) at(r *ref, run *Run) Ptr {
	switch {
	case r.from != nil:
		return r.from(run)
	case r.name != "":
		return r.ptr
	}
	return m.base + Ptr(r.off)
}

// Half says that a kept node's value stands in bf16.
func (m *VM) Half(n *gorgonia.Node) bool { return m.formats.half[n] }

// Value is where a kept node's value stands.
func (m *VM) Value(n *gorgonia.Node) Ptr { return m.at(m.refs[n], &m.run) }

// workspace is the memory that an op may write while it runs.
func (m *VM) workspace() Ptr { return m.base + Ptr(m.bytes) }

// Set prepares the next run.
func (m *VM) Set(r Run) { m.run = r }

// RunAll issues every op in order. It returns when they are issued, not when
// they are done.
func (m *VM) RunAll() error {
	for i, s := range m.steps {
		if err := s(&m.run); err != nil {
			return fmt.Errorf("cuda: op %s: %w", m.names[i], err)
		}
	}
	return nil
}

// Reset does nothing: a VM can always run again.
func (m *VM) Reset() {}

// Close forgets the program; its region belongs to whoever placed it.
func (m *VM) Close() error { m.steps = nil; return nil }

// input is the ref of a node that no op computes.
func (m *VM) input(p *vit.Program, n *gorgonia.Node) *ref {
	r, ok := m.refs[n]
	if ok {
		return r
	}
	switch n {
	case p.Start:
		r = &ref{from: func(r *Run) Ptr { return r.Images }}
	case p.Seed:
		r = &ref{from: func(r *Run) Ptr { return r.Seed }}
	case p.Rest:
		r = &ref{from: func(r *Run) Ptr { return r.Rest }}
	default:
		r = &ref{name: n.Name()}
	}
	m.refs[n] = r
	return r
}

// build makes the step of a node and says how much workspace it wants.
func (m *VM) build(p *vit.Program, n *gorgonia.Node) (step, int64, error) {
	f := m.formats
	o := op{VM: m, out: m.refs[n], size: int64(n.Shape().TotalSize()), slots: p.Slots, half: f.half[n],
		exact: f.exact[n]}
	for i, c := range vit.Inputs(p.Graph, n) {
		if at, ok := f.noisy[n]; ok && at.input == i { // the noise is made in the op
			o.noise, o.noisy = specOf(c), i
			c = vit.Inputs(p.Graph, c)[0]
		}
		if f.inside[c] {
			c = vit.Inputs(p.Graph, c)[0] // the map's own input stands for it
		}
		o.in = append(o.in, m.input(p, c))
		o.sizes = append(o.sizes, int64(c.Shape().TotalSize()))
		o.halves = append(o.halves, f.half[c])
	}
	kind := n.Op().String()
	if s, ok := n.Op().(interface{ Spec() vit.Spec }); ok {
		o.spec = s.Spec()
		kind = o.spec.Kind
	}
	b, ok := builders[kind]
	if low, there := halfBuilders[kind]; there && (f.split && o.exact || f.fast && !o.exact) {
		if s, work := low(&o, f, n); s != nil {
			return s, work, nil
		}
	}
	if !ok {
		return nil, 0, fmt.Errorf("cuda: op %q of %s has no kernel", kind, n.Op())
	}
	s, work := b(&o)
	return s, work, nil
}
