package cuda

import (
	"fmt"
	"unsafe"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// Options of a Model.
type Options struct {
	Noise     Noise               // the directions of the queries
	Loss      objective.Objective // what a query answers
	Mask      bool                // structural mask of the gradients (docs/method.md)
	Exact     bool                // queries of the weights are answered by forward.Tangent
	Precision Precision           // of the matrix products; fp32 where it is empty
	Slots     int                 // most images of one micro-batch; 0: 256
	Tanh      bool                // GELU in bf16 by tanh, which cuBLASLt adds to its product
	Plain     bool                // bf16 by single maps, with residuals in floats everywhere
}

// Model is a network on a CUDA device: vit's step over this package's backend, to
// which the CPU's numbers agree up to the order of sums.
type Model struct {
	*vit.Model
	b *backend
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
	b := &backend{dev: NewDevice(d, opt.Noise), net: n, shapes: n.Outline(), slots: opt.Slots,
		loss: opt.Loss.Name(), hostLoss: opt.Loss.Name() != objective.CE{}.Name(),
		stale: make([]bool, len(n.Params())), begun: map[int]bool{},
		held:  holding{ahead: make([]bool, len(n.Params()))},
		progs: map[string]*compiled{}, one: map[string]int64{}}
	if err := b.supported(); err != nil {
		return nil, err
	}
	b.dev.next, b.dev.plain = neighbours(n), opt.Plain
	if err := b.dev.openBLAS(opt.Precision); err != nil {
		b.note = err.Error() + "; matrix products run on this program's own float32 kernels"
		if opt.Precision != FP32 {
			b.note = fmt.Sprintf("train.precision: %s needs cuBLAS: %s", opt.Precision, b.note)
		}
	}
	if b.dev.blas != nil {
		b.dev.blas.tanh = opt.Tanh
	}
	return &Model{vit.NewModelOn(b, n, vit.Options{Noise: opt.Noise.host(), Loss: opt.Loss, Mask: opt.Mask,
		Exact: opt.Exact}), b}, nil
}

// supported refuses a network with an op that has no kernel, before anything is asked.
func (d *backend) supported() error {
	p, err := d.shapes.Program(1, &vit.Forward{})
	if err != nil {
		return err
	}
	order, _ := vit.Schedule(p.Graph, p.Kept...)
	for _, n := range order {
		kind := specOf(n).Kind
		if _, ok := builders[kind]; ok || kind == "" {
			continue
		}
		what := fmt.Sprintf("the op %q of this network", kind)
		if kind == vit.OpReplace {
			what = "a network with prompt tokens in every block"
		}
		return uierr.New("train.device: "+what+" is computed on the processor alone", "set train.device: cpu")
	}
	return nil
}

// Note says in one line what the device does without, or "".
func (m *Model) Note() string { return m.b.note }

// backend is the vit.Backend of a CUDA device, on which weights, images, the store
// and the sums of gradients stay: a list is uploaded once, its micro-batches follow
// one another with nothing for the device to wait for, and losses and gradients
// are downloaded once. An objective other than cross-entropy is evaluated on the
// host from the logits, which are then downloaded too.
type backend struct {
	dev    *Device
	net    *vit.Net
	shapes *vit.Net // the same without values, for its graphs
	slots  int      // most images of one micro-batch
	note   string
	spec   string // setting that named the device, where Open was told one
	loss   string // the objective's name
	stale  []bool // per parameter: the device's copy is old

	hostLoss bool // the objective is not one of the device's

	arena *Arena
	l     *layout
	progs map[string]*compiled
	one   map[string]int64 // bytes of a program's region per slot
	begun map[int]bool     // per parameter: its sum holds something
	sites map[string]bool  // names of those whose queries are asked

	batch *forward.Batch // whose images are shown
	first int            // of them
	sent  int            // of them that are on the device
	list  *vit.List

	saved             []*Arena // originals of perturbed weights that the layout was not told of
	perturbed, copied table
	summed            table
	held              holding
}

var _ vit.Backend = (*backend)(nil)

// Device is the setting that named the device, the device's own name and what
// computes its matrix products.
func (d *backend) Device() string {
	what := d.dev.Name() + " with " + d.dev.Engine()
	if d.spec == "" {
		return what
	}
	return d.spec + ", " + what
}

// Changed has the parameters uploaded before they are read again.
func (d *backend) Changed(params []int) {
	for _, i := range params {
		d.stale[i], d.held.ahead[i] = true, false
	}
}

// Memory is what the model takes of the device's memory for what it was asked so far,
// the library's own included; 0 before it was asked anything.
func (m *Model) Memory() int64 {
	if m.b.arena == nil {
		return 0
	}
	bytes := m.b.arena.size
	for _, a := range m.b.saved {
		bytes += a.size
	}
	if b := m.b.dev.blas; b != nil {
		bytes += libraryBytes
		if b.precision == FP32 && (len(m.b.l.asked.Sites) > 0 || m.b.l.asked.Gradient) {
			bytes += sumBytes
		}
	}
	return bytes
}

// libraryBytes is about what cuBLAS takes for itself: workspace, and its kernels.
// sumBytes is what its float32 products of sums over rows take more, on an H100.
const (
	libraryBytes = 96 << 20
	sumBytes     = 490 << 20
)

// Close gives the device back.
func (d *backend) Close() error {
	err := d.release()
	if e := d.dev.closeBLAS(); err == nil {
		err = e
	}
	if e := d.dev.Close(); err == nil {
		err = e
	}
	return err
}

// refresh begins a call: it waits for what the last one left running, so that
// page-locked memory may be written again, and brings the device's copy of the
// parameters up to date.
func (d *backend) refresh() error {
	if err := d.dev.Sync(); err != nil {
		return err
	}
	for i, p := range d.net.Params() {
		if !d.stale[i] {
			continue
		}
		if err := d.dev.Upload(d.l.params[i], raw(p.Data), Compute); err != nil {
			return err
		}
		if err := d.round(i); err != nil {
			return err
		}
		d.stale[i] = false
	}
	return nil
}

// round brings a parameter's copy in bf16 up to date, where it has one.
func (d *backend) round(i int) error {
	if d.l.halves[i] == 0 {
		return nil
	}
	return d.dev.Round(d.l.halves[i], d.l.params[i], d.size(i)/4)
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
