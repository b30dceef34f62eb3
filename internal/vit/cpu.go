package vit

import (
	"math"
	"runtime"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/noise"
)

// cpu is the Backend of the processor. Workers have graphs and machines of their
// own and share the weights and the store; every number is the same for any
// number of workers, because work is cut into pieces of a fixed size, rows do not
// depend on their neighbours, and sums have a fixed order. Sums are made in the
// gradients themselves.
type cpu struct {
	net     *Net // over a store of its own
	noise   noise.Source
	workers []*worker
	saved   [][]float32 // originals of perturbed weights
	pixels  []float32   // of the images shown
	given   [][]float32 // of each image, what was handed over
	list    *List
	errs    []error
	terms   scratchE
}

// worker is one goroutine's graphs.
type worker struct {
	programs map[string]*compiled
	gemm     kernel.Scratch
	bufs     [2][]float32
	arena    []float32
}

// room is the arena that a worker's graphs share, since they run one after another and
// what they leave is taken before the next runs. Where it has to grow, the graphs that
// stand in the old one are built again at their next use.
func (w *worker) room(values int64) []float32 {
	if int64(len(w.arena)) < values {
		w.arena = make([]float32, values)
		clear(w.programs)
	}
	return w.arena
}

// buf is the i-th workspace, at least n long.
func (w *worker) buf(i, n int) []float32 {
	if cap(w.bufs[i]) < n {
		w.bufs[i] = make([]float32, n)
	}
	return w.bufs[i][:n]
}

// compiled is a program with its machine.
type compiled struct {
	*Program
	m *Machine
}

// newCPU makes the workers of a network, 0 for every core.
func newCPU(n *Net, threads int, src noise.Source) *cpu {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	c := &cpu{net: n.over(0), noise: src, saved: make([][]float32, len(n.params))}
	for range threads {
		c.workers = append(c.workers, &worker{programs: map[string]*compiled{}})
	}
	return c
}

func (c *cpu) Device() string { return "cpu" }

// Layers says that the graph of one layer alone is run.
func (c *cpu) Layers() bool { return true }

// Direct says that noise is added to parameters themselves.
func (c *cpu) Direct() bool { return true }

func (c *cpu) Close() error { c.workers = nil; return nil }

// Lay grows the store to the images of a pass. Graphs that read the old one go
// with it.
func (c *cpu) Lay(l Layout) (images int, moved bool, err error) {
	if l.Pass && l.Images > c.net.store.images {
		moved = true
		c.net.store = &store{images: l.Images, tensors: map[string]*stored{}}
		c.rebuild()
	}
	for _, a := range l.Keep {
		c.net.store.tensor(a.Name, a.Rows, a.Width)
	}
	return l.Images, moved, nil
}

// rebuild has every graph built again at its next use.
func (c *cpu) rebuild() {
	for _, w := range c.workers {
		clear(w.programs)
	}
}

// Changed packs the linear maps among the parameters anew at their next use.
func (c *cpu) Changed(params []int) {
	for s, l := range c.net.linears {
		if slices.Contains(params, c.net.sites[s].Weight) {
			l.stale()
		}
	}
}

func (c *cpu) Show(b *forward.Batch, lo, n int) {
	size := c.net.Pixels()
	c.pixels = b.Inputs[lo*size : (lo+n)*size]
}

func (c *cpu) Give(a Activation, images [][]float32, keep bool) error {
	c.given = images
	for i, x := range images {
		if keep {
			copy(c.net.store.image(a.Name, i), x)
		}
	}
	return nil
}

func (c *cpu) Read(a Activation, image int, out []float32) error {
	copy(out, c.net.store.image(a.Name, image))
	return nil
}

func (c *cpu) Room(bool) int { return math.MaxInt }

func (c *cpu) Stored(a Activation, images int, _ []float32) ([]float32, error) {
	return c.net.store.tensors[a.Name].data[:images*a.Rows*a.Width], nil
}

func (c *cpu) Begin(l *List) error { c.list = l; return nil }

// End has nothing to do: Run writes answers where the list wants them.
func (c *cpu) End() error { return nil }

func (c *cpu) Norms(a Activation, out []float32) error {
	kernel.Parallel(len(c.workers), len(out), func(_, i int) {
		sum := float64(a.Rows)
		for _, v := range c.net.store.image(a.Name, i) {
			sum += float64(v) * float64(v)
		}
		out[i] = float32(sum)
	})
	return nil
}
