package alloc

import "fmt"

// BudgetError is a budget that cannot be shared out within the limits.
type BudgetError struct {
	Items  int // of the batch; 0 is an empty one
	Budget int
	Least  int  // that each item gets, an even number where Even
	Even   bool // counts are even
}

// Error says which limit stands in the way.
func (e *BudgetError) Error() string {
	switch {
	case e.Items == 0:
		return "alloc: the batch is empty"
	case e.Short():
		return fmt.Sprintf("alloc: %d queries for %d items that get at least %d each", e.Budget, e.Items, e.Least)
	}
	return fmt.Sprintf("alloc: %d queries cannot be spent in pairs", e.Budget)
}

// Short says whether the budget is too small, and not odd where counts are even.
func (e *BudgetError) Short() bool { return e.Items > 0 && e.Budget/e.Items < e.Least }

// SignalError is a signal that is missing or has another length than the losses.
type SignalError struct {
	Signal     string // "IDs", "Surprise" or "Features"
	Have, Want int    // numbers
}

// Error names the signal.
func (e *SignalError) Error() string {
	if e.Have == 0 {
		return fmt.Sprintf("alloc: no %s, and the allocator cannot do without", e.Signal)
	}
	return fmt.Sprintf("alloc: %d numbers in %s, where the losses ask for %d", e.Have, e.Signal, e.Want)
}

// OptionError is an option out of range.
type OptionError struct {
	Option string // name of the field
	Is     string // what it is
	Want   string // what to give instead
}

// Error names the option.
func (e *OptionError) Error() string { return "alloc: " + e.Option + ": " + e.Is + ": " + e.Want }
