package cuda

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// Options of a Model.
type Options struct {
	Noise     Noise               // the directions of the queries
	Loss      objective.Objective // what a query answers
	Mask      bool                // structural mask of the gradients (DESIGN 3.1)
	Precision Precision           // of the matrix products; fp32 where it is empty
	Slots     int                 // most images of one micro-batch; 0: 256
}

// Model answers queries with a network whose weights, images and clean
// activations stay on the device. It implements query.Differentiable with the
// meaning of vit.Model, to which its numbers agree up to the order of sums: a
// step uploads its images once and the numbers of its queries, and downloads
// losses and gradients. An objective other than cross-entropy is evaluated on
// the host from the logits, which are then downloaded too.
type Model struct {
	dev   *Device
	net   *vit.Net
	opt   Options
	note  string
	spec  string // setting that named the device, where Open was told one
	stale []bool // per parameter: the device's copy is old

	arena *Arena
	l     *layout
	progs map[string]*compiled
	one   map[string]int64 // bytes of a program's region per slot
	pass  *pass            // the last Clean
	sites []int            // named to the last Clean

	pixelsOf *query.Batch // whose images are on the device
	backward bool         // the region has room for a gradient

	saved     *Arena // originals of perturbed weights
	originals map[int]Ptr
}

var _ query.Differentiable = (*Model)(nil)

// compiled is a program and its VM.
type compiled struct {
	*vit.Program
	vm *VM
}

// NewModel puts a network on a device. cuBLAS is opened where it is found; Note
// says what was not. The driver is the model's and closed with it.
func NewModel(d Driver, n *vit.Net, opt Options) (*Model, error) {
	if opt.Precision == "" {
		opt.Precision = FP32
	}
	if opt.Slots <= 0 {
		opt.Slots = 256
	}
	m := &Model{dev: NewDevice(d, opt.Noise), net: n, opt: opt, stale: make([]bool, len(n.Params())),
		progs: map[string]*compiled{}, one: map[string]int64{}}
	if err := m.dev.openBLAS(opt.Precision); err != nil {
		m.note = err.Error() + "; matrix products run on this program's own float32 kernels"
		if opt.Precision != FP32 {
			m.note = fmt.Sprintf("train.precision: %s needs cuBLAS: %s", opt.Precision, m.note)
		}
	}
	return m, nil
}

// Note says in one line what the device does without, or "".
func (m *Model) Note() string { return m.note }

// Device is the setting that named the device, the device's own name and what
// computes its matrix products.
func (m *Model) Device() string {
	what := m.dev.Name() + " with " + m.dev.Engine()
	if m.spec == "" {
		return what
	}
	return m.spec + ", " + what
}

// Params lists the parameters.
func (m *Model) Params() []*query.Param { return m.net.Params() }

// Sites lists the linear maps whose output can be perturbed.
func (m *Model) Sites() []query.Site { return m.net.Sites() }

// ForwardFLOPs is the cost of one clean forward of one image.
func (m *Model) ForwardFLOPs() int64 { return m.net.ForwardFLOPs() }

// BackwardFLOPs is the cost of the backward pass of one image for what is
// trained now.
func (m *Model) BackwardFLOPs() int64 { return m.net.BackwardFLOPs() }

// Touch tells the model that trained parameters changed.
func (m *Model) Touch() {
	for i, p := range m.net.Params() {
		m.stale[i] = m.stale[i] || p.Grad != nil
	}
}

// Reload tells the model that any parameter may have changed.
func (m *Model) Reload() {
	for i := range m.stale {
		m.stale[i] = true
	}
}

// Close gives the device back.
func (m *Model) Close() error {
	err := m.release()
	if e := m.dev.closeBLAS(); err == nil {
		err = e
	}
	if e := m.dev.Close(); err == nil {
		err = e
	}
	return err
}

// hostLoss says that an objective is not one of the device's.
func hostLoss(o objective.Objective) bool { return o.Name() != objective.CE{}.Name() }

func (m *Model) hostLoss() bool { return hostLoss(m.opt.Loss) }

// bound is the model's objective of a batch that fits the network, nil where the
// batch has no labels.
func (m *Model) bound(b *query.Batch) (*objective.Bound, error) {
	if err := m.check(b); err != nil || b.Labels == nil {
		return nil, err
	}
	return objective.Bind(m.opt.Loss, b.Labels[:b.N], b.Index, m.net.Arch.Outputs())
}

// check refuses a batch that does not fit the network.
func (m *Model) check(b *query.Batch) error {
	chans, side := m.net.Arch.Input()
	if want := b.N * m.net.Pixels(); b.N < 1 || len(b.X) < want || b.Labels != nil && len(b.Labels) < b.N {
		return fmt.Errorf("cuda: batch of %d images has %d values and %d labels, the network wants %d values of %d×%d×%d",
			b.N, len(b.X), len(b.Labels), want, chans, side, side)
	}
	if b.N > queryRoom {
		return fmt.Errorf("cuda: a batch of %d images is more than the %d that the device numbers", b.N, queryRoom)
	}
	return nil
}

// upload begins a call: it waits for what the last one left running, so that
// page-locked memory may be written again, and brings the device's copy of the
// parameters up to date.
func (m *Model) upload() error {
	if err := m.dev.Sync(); err != nil {
		return err
	}
	for i, p := range m.net.Params() {
		if !m.stale[i] {
			continue
		}
		if err := m.dev.Upload(m.l.params[i], raw(p.Data), Compute); err != nil {
			return err
		}
		m.stale[i] = false
	}
	return nil
}

// raw is the memory of a slice.
func raw[T float32 | int32 | uint32](v []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v))
}

// floatsOf is page-locked memory as numbers.
func floatsOf(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

func intsOf(b []byte) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// program is the VM of a key, with as many slots as are wanted and fit into the
// region beside extra bytes per slot.
func (m *Model) program(key string, want int, extra int64, build func(slots int) (*vit.Program, []string, error)) (*compiled, error) {
	if c, ok := m.progs[key]; ok && (c.Slots >= want || c.Slots == m.room(key, extra)) {
		return c, nil
	}
	if _, ok := m.one[key]; !ok {
		c, err := m.compile(1, build)
		if err != nil {
			return nil, err
		}
		m.one[key] = c.vm.Bytes()
	}
	slots := min(want, m.room(key, extra))
	if slots < 1 {
		return nil, m.refuse(m.one[key] + extra)
	}
	c, err := m.compile(slots, build)
	if err != nil {
		return nil, err
	}
	if err := c.vm.Place(m.l.region, m.bind); err != nil {
		return nil, err
	}
	m.progs[key] = c
	return c, nil
}

// room is how many slots of a program fit into the region.
func (m *Model) room(key string, extra int64) int {
	return int(min((m.l.regionBytes-slack)/(m.one[key]+extra), maxGridZ))
}

// slack is what rounding every value of a program up to the alignment may cost.
const slack = 1 << 17

func (m *Model) refuse(bytes int64) error {
	return uierr.New(fmt.Sprintf("train.device: one image asks for %s of GPU memory beside the weights and activations, and %s are left", size(bytes), size(m.l.regionBytes)),
		"lower train.batch_size, or perturb fewer sites")
}

func (m *Model) compile(slots int, build func(slots int) (*vit.Program, []string, error)) (*compiled, error) {
	p, taps, err := build(slots)
	if err != nil {
		return nil, err
	}
	vm, err := Compile(m.dev, p, m.hostLoss(), kept(p, taps)...)
	if err != nil {
		return nil, err
	}
	return &compiled{p, vm}, nil
}

// bind finds the inputs of a program.
func (m *Model) bind(name string) (Ptr, error) {
	if p, ok := m.l.store[name]; ok {
		return p.ptr, nil
	}
	if i := m.net.Index(name); i >= 0 {
		return m.l.params[i], nil
	}
	return 0, fmt.Errorf("cuda: the graph reads %s, which is not on the device", name)
}

// Evaluate is the forward of a batch, in parts of the batch size that the
// device was laid out for.
func (m *Model) Evaluate(ctx context.Context, b *query.Batch) (*query.Clean, error) {
	loss, err := m.bound(b)
	if err == nil {
		err = m.begin(b, nil)
	}
	if err != nil {
		return nil, err
	}
	return m.forward(ctx, b, loss, false)
}
