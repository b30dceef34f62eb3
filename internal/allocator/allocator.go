package allocator

import (
	"fmt"
	"math"
	"sort"

	"github.com/flops-vit/flops/internal/uierr"
)

// Signals are what may be known of a batch before its queries: numbers of the
// clean pass, one per image.
type Signals struct {
	Step, Epoch int
	Seed        uint64
	IDs         []int32   // position in the dataset, for histories
	Losses      []float32 // clean losses
	Features    []float32 // B×Dim cls embeddings, or nil
	Dim         int
	Surprise    []float32 // ‖softmax(logits) − onehot‖, or nil
	Scale       []float32 // ‖x_i‖, the known factor of √V_i, or nil
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

// Allocator shares a budget among the images of a batch.
type Allocator interface {
	// Name is the allocator's name in a config.
	Name() string
	// Needs says which signals it cannot do without.
	Needs() Need
	// Allocate returns n_1..n_B: at least MinQueries each, even where asked,
	// with the budget as their exact sum. It fails where no such counts exist.
	Allocate(s Signals, budget int) ([]int, error)
	// Observe learns from a step that is over.
	Observe(f Feedback)
	// State and Restore carry what was learned through a checkpoint, exactly.
	State() ([]byte, error)
	Restore([]byte) error
}

// Need names signals that an allocator cannot do without.
type Need struct{ Features bool }

// Parameters is an Allocator with learned parameters worth logging.
type Parameters interface{ Params() []float64 }

// Options of every allocator; each reads what concerns it.
type Options struct {
	MinQueries int
	Even       bool      // counts are even: antithetic pairs
	Learn      bool      // gaussian: learn the four parameters
	Features   string    // gaussian: loss or cls
	W          []float64 // gaussian: starting w0..w3, nil for ours
	Freeze     []string  // gaussian: of w0 w1 w2 w3
	LR         float64   // gaussian: rate of the learned parameters
	Decay      float64   // neyman: weight of the past in the exponential average
	Fallback   bool      // equal shares once the measured gain is not positive
	Window     int       // steps over which the gain is measured
	Warn       func(string)
}

var builders = map[string]func(Options) (Allocator, error){}

// Register adds an allocator under a name; call it from init.
func Register(name string, build func(Options) (Allocator, error)) { builders[name] = build }

// Names lists the registered allocators.
func Names() []string {
	var n []string
	for k := range builders {
		n = append(n, k)
	}
	sort.Strings(n)
	return n
}

// New makes an allocator, guarded by a Guard unless it is uniform.
func New(name string, o Options) (Allocator, error) {
	b, ok := builders[name]
	if !ok {
		return nil, uierr.New(fmt.Sprintf("allocator.name: no allocator %q", name), fmt.Sprintf("known: %v", Names()))
	}
	o.MinQueries = max(1, o.MinQueries)
	a, err := b(o)
	if err != nil || name == "uniform" {
		return a, err
	}
	return &Guard{Allocator: a, o: o}, nil
}

// Round turns shares into counts by largest remainder: every count is at least
// lowest, even where even, and the sum is the budget. Shares that are not
// positive numbers count as nothing, infinite ones as equal and everything; with
// none left, all are equal. Ties go to the lower index.
func Round(shares []float64, budget, lowest int, even bool) ([]int, error) {
	B, unit := len(shares), 1
	if even {
		unit = 2
	}
	lowest = (max(lowest, 0) + unit - 1) / unit * unit
	switch {
	case B == 0:
		return nil, uierr.New("the batch is empty", "set train.batch_size to at least 1")
	case budget%unit != 0:
		return nil, uierr.New(fmt.Sprintf("budget: %d queries cannot be spent in antithetic pairs", budget), "make batch size times queries per image even")
	case budget < B*lowest:
		return nil, uierr.New(fmt.Sprintf("budget: %d queries for %d images that get at least %d each", budget, B, lowest), "raise budget.queries_per_image or lower allocator.min_queries")
	}
	w := clean(shares)
	spare := (budget - B*lowest) / unit
	n, rest, given := make([]int, B), make([]float64, B), 0
	for i, v := range w {
		exact := v * float64(budget)
		extra := max(0, (exact-float64(lowest))/float64(unit))
		rest[i] = extra
	}
	var sum float64
	for _, v := range rest {
		sum += v
	}
	for i := range n {
		x := float64(spare) / float64(B)
		if sum > 0 {
			x = rest[i] / sum * float64(spare)
		}
		f := math.Floor(x)
		n[i], rest[i] = int(f), x-f
		given += int(f)
	}
	order := make([]int, B)
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return rest[order[a]] > rest[order[b]] })
	for j := 0; given < spare; j = (j + 1) % B {
		n[order[j]]++
		given++
	}
	for j := B - 1; given > spare; j = (j - 1 + B) % B { // rounding of huge budgets
		if n[order[j]] > 0 {
			n[order[j]]--
			given--
		}
	}
	for i := range n {
		n[i] = lowest + unit*n[i]
	}
	return n, nil
}

// clean turns shares into a distribution.
func clean(shares []float64) []float64 {
	w := make([]float64, len(shares))
	infinite := false
	for _, v := range shares {
		infinite = infinite || math.IsInf(v, 1)
	}
	top := 0.0
	for i, v := range shares {
		switch {
		case infinite && math.IsInf(v, 1):
			w[i] = 1
		case !infinite && v > 0:
			w[i] = v
		}
		top = max(top, w[i])
	}
	var sum float64
	for i := range w {
		if top > 0 {
			w[i] /= top // so that a sum of huge shares stays finite
		} else {
			w[i] = 1
		}
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}

// PredictedRatio is Σ V_i/n_i over the same at equal shares: below 1 is a gain.
// Variances that are not positive numbers are left out; with none left it is 1.
func PredictedRatio(variance []float64, counts []int) float64 {
	var got, equal, total float64
	for _, n := range counts {
		total += float64(n)
	}
	mean := total / float64(max(1, len(counts)))
	for i, v := range variance {
		if i < len(counts) && v > 0 && !math.IsInf(v, 1) && counts[i] > 0 {
			got += v / float64(counts[i])
			equal += v / mean
		}
	}
	if equal == 0 || math.IsInf(equal, 0) {
		return 1
	}
	return got / equal
}
