package alloc

// Signals are what may be known of a batch before its queries: numbers of the
// clean pass, the unperturbed evaluation of every item. Losses has one entry per
// item and is always there; the others have too, or are nil.
type Signals struct {
	Step, Epoch int       // of the loop; a step's number is new in every Allocate
	Seed        uint64    // with Step it decides everything that is drawn
	IDs         []int32   // the item's number in the dataset, for histories
	Losses      []float32 // clean losses
	Features    []float32 // items×Dim embeddings, row-major
	Dim         int       // width of one item's features
	Surprise    []float32 // ‖softmax(logits) − onehot‖; see the function Surprise
}

// Feedback is what a step's queries showed, after the fact.
type Feedback struct {
	Step     int       // that of the Signals
	IDs      []int32   // those of the Signals
	Counts   []int     // what this allocator gave
	Chance   []float32 // with which each item was drawn to have them; nil: every item has some
	Asked    []int     // the queries that Variance rests on; nil: Counts
	Variance []float64 // V̂_i of one direction of each item, up to one common factor; see Variance
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

// Allocator shares a budget among the items of a batch. It is not for concurrent
// use.
type Allocator interface {
	// Name is a short name, "neyman".
	Name() string
	// Needs says which signals it cannot do without.
	Needs() Need
	// Allocate returns n_1..n_B, within the Limits it was made with and with the
	// budget as their exact sum. A *BudgetError says that no such counts exist, a
	// *SignalError that a signal is missing or of another length.
	Allocate(s Signals, budget int) ([]int, error)
	// Observe learns from a step that is over. What it learns shows from the
	// next Allocate on. Variances that are negative or not finite are left out.
	Observe(f Feedback)
	// State and Restore carry what was learned through a checkpoint, exactly.
	State() ([]byte, error)
	Restore([]byte) error
}

// Shared is an Allocator that says how it would share before counts are made of it:
// what Draw takes where there is less than one direction an item.
type Shared interface {
	Allocator
	// Shares are numbers in proportion to the queries of each item. Like Allocate it
	// begins the step that Observe is told of.
	Shares(s Signals) ([]float64, error)
}

// Need names signals that an allocator cannot do without, besides the losses.
type Need struct{ Features bool }

// Parameters is an Allocator with learned parameters worth logging.
type Parameters interface{ Params() []float64 }

// Limits are what every count keeps.
type Limits struct {
	Least int  // least count of an item; below 1 is 1, and where Even an odd one is raised by 1
	Even  bool // counts are even: antithetic pairs
}

// unit is the step of a count, and least the least count in such steps.
func (l Limits) unit() (unit, least int) {
	unit = 1
	if l.Even {
		unit = 2
	}
	return unit, (max(l.Least, 1) + unit - 1) / unit * unit
}
