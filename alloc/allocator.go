package allocator

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// Signals are what may be known of a batch before its queries: numbers of the
// clean pass. Losses has one entry per image and is always there; the others
// have too, or are nil.
type Signals struct {
	Step, Epoch int
	Seed        uint64
	IDs         []int32   // position in the dataset, for histories
	Losses      []float32 // clean losses
	Features    []float32 // B×Dim cls embeddings, row-major, or nil
	Dim         int
	Surprise    []float32 // ‖softmax(logits) − onehot‖, or nil
}

// Feedback is what a step's queries showed, after the fact.
type Feedback struct {
	Step     int
	IDs      []int32
	Counts   []int     // what this allocator gave
	Asked    []int     // the queries that Variance rests on; nil: Counts
	Variance []float64 // V̂_i of one direction, up to one common constant
}

// asked is the number of queries behind V̂_i.
func (f Feedback) asked(i int) float64 {
	n := f.Counts
	if f.Asked != nil {
		n = f.Asked
	}
	if i >= len(n) {
		return 0
	}
	return float64(n[i])
}

// Allocator shares a budget among the images of a batch. It is not for
// concurrent use.
type Allocator interface {
	// Name is the allocator's name in a config.
	Name() string
	// Needs says which signals it cannot do without.
	Needs() Need
	// Allocate returns n_1..n_B: at least MinQueries each, even where asked,
	// with the budget as their exact sum. It fails where no such counts exist
	// or a signal that Needs names is missing.
	Allocate(s Signals, budget int) ([]int, error)
	// Observe learns from a step that is over. What it learns shows from the
	// next Allocate on. Variances that are negative or not finite are left out.
	Observe(f Feedback)
	// State and Restore carry what was learned through a checkpoint, exactly.
	State() ([]byte, error)
	Restore([]byte) error
}

// Need names signals that an allocator cannot do without, besides the losses.
type Need struct{ Features bool }

// Parameters is an Allocator with learned parameters worth logging.
type Parameters interface{ Params() []float64 }

// Options of every allocator; each reads what concerns it.
type Options struct {
	MinQueries int          // least count of an image; at least 1, and even where Even
	Even       bool         // counts are even: antithetic pairs
	Learn      bool         // gaussian: learn the four parameters
	Features   string       // gaussian: loss or cls; empty is loss
	W          []float64    // gaussian: starting w0..w3, empty for Start
	Freeze     []string     // gaussian: of w0 w1 w2 w3, those that are not learned
	LR         float64      // gaussian: rate of the learned parameters
	Decay      float64      // neyman: weight of the past in the exponential average, in [0, 1)
	Fallback   bool         // equal shares once the measured gain is not positive
	Window     int          // steps over which the gain is measured; 0 measures none
	Warn       func(string) // takes the one line that says so; may be nil
}

var builders = map[string]func(Options) (Allocator, error){}

// Register adds an allocator under a name; call it from init. A name that is
// taken panics.
func Register(name string, build func(Options) (Allocator, error)) {
	if builders[name] != nil {
		panic("allocator: " + name + " is registered twice")
	}
	builders[name] = build
}

// Names lists the registered allocators in alphabetic order.
func Names() []string {
	var n []string
	for k := range builders {
		n = append(n, k)
	}
	sort.Strings(n)
	return n
}

// New makes an allocator, watched by a Guard unless it is uniform. An unknown
// name and options out of range are errors of type *uierr.Error.
func New(name string, o Options) (Allocator, error) {
	b, ok := builders[name]
	if !ok {
		return nil, uierr.New(fmt.Sprintf("allocator.name: no allocator %q", name), "use one of "+strings.Join(Names(), ", "))
	}
	switch {
	case o.MinQueries < 0:
		return nil, uierr.New(fmt.Sprintf("allocator.min_queries: %d", o.MinQueries), "give every image at least 1 query")
	case o.Window < 0:
		return nil, uierr.New(fmt.Sprintf("allocator.window: %d", o.Window), "give a number of steps such as 50")
	case !(o.LR >= 0) || math.IsInf(o.LR, 1):
		return nil, uierr.New(fmt.Sprintf("allocator.lr: %v", o.LR), "use a rate such as 0.05")
	case !(o.Decay >= 0 && o.Decay < 1):
		return nil, uierr.New(fmt.Sprintf("allocator.decay: %v", o.Decay), "choose it from 0 (the last visit alone) to below 1, such as 0.7")
	}
	a, err := b(o)
	if err != nil || name == "uniform" {
		return a, err
	}
	return Watch(a, o), nil
}
