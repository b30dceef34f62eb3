package alloc

import (
	"encoding/json"
	"fmt"
)

// Guard watches the gain that an allocator's counts had over equal shares, by
// the variances that the same queries showed. Where the mean gain over a window
// of steps is not positive it says so once, and with Fallback gives equal shares
// from then on.
//
// The measured V̂_i and n_i belong to one step, but the fallback decides about
// later steps only, so that no estimate is allocated by its own noise.
type Guard struct {
	Allocator
	o  GuardOptions
	st guardState
}

// GuardOptions of a Guard.
type GuardOptions struct {
	Limits               // of the equal shares
	Window   int         // steps over which the gain is measured; 0 measures none
	Fallback bool        // equal shares once the measured gain is not positive
	Warn     func(Alarm) // is told of it; may be nil
}

// Alarm is what a Guard found.
type Alarm struct {
	Name   string  // of the allocator
	Step   int     // after which it was found
	Window int     // steps that were measured
	Gain   float64 // their mean gain in variance over equal shares, at most 0
	Equal  bool    // equal shares from now on
}

// String is one line that tells it, but for what comes of it.
func (a Alarm) String() string {
	return fmt.Sprintf("step %d: %s gained nothing over the last %d steps (%.1f%%)",
		a.Step+1, a.Name, a.Window, 100*a.Gain)
}

type guardState struct {
	Gains  []float64 // 1 − ratio of the last steps, at most Window
	At     int       // where the next one goes
	Warned bool
	Equal  bool // fallen back
	Inner  []byte
}

// NewGuard puts a Guard around an allocator. A negative window is an
// *OptionError.
func NewGuard(a Allocator, o GuardOptions) (*Guard, error) {
	if o.Window < 0 {
		return nil, &OptionError{"Window", fmt.Sprint(o.Window), "give a number of steps such as 50"}
	}
	return &Guard{Allocator: a, o: o}, nil
}

// Allocate asks the allocator, or gives equal shares after the fallback.
func (g *Guard) Allocate(s Signals, budget int) ([]int, error) {
	if g.st.Equal {
		return equal(len(s.Losses), s.Step, budget, g.o.Limits)
	}
	return g.Allocator.Allocate(s, budget)
}

// Shares implements Shared; an allocator without shares has equal ones.
func (g *Guard) Shares(s Signals) ([]float64, error) {
	if a, ok := g.Allocator.(Shared); ok && !g.st.Equal {
		return a.Shares(s)
	}
	return ones(len(s.Losses)), nil
}

// Observe passes the step on and adds its gain to the window.
func (g *Guard) Observe(f Feedback) {
	if g.st.Equal {
		return
	}
	g.Allocator.Observe(f)
	if g.st.Warned || g.o.Window < 1 || alike(f) {
		return
	}
	gain := 1 - ShareRatio(f.Variance, Share{Counts: f.Counts, Chance: f.Chance})
	if len(g.st.Gains) < g.o.Window {
		g.st.Gains = append(g.st.Gains, gain)
	} else {
		g.st.Gains[g.st.At] = gain
		g.st.At = (g.st.At + 1) % g.o.Window
	}
	if len(g.st.Gains) < g.o.Window {
		return
	}
	var mean float64
	for _, v := range g.st.Gains {
		mean += v / float64(len(g.st.Gains))
	}
	if mean > 0 {
		return
	}
	g.st.Warned, g.st.Equal = true, g.o.Fallback
	if g.o.Warn != nil {
		g.o.Warn(Alarm{Name: g.Name(), Step: f.Step, Window: g.o.Window, Gain: mean, Equal: g.st.Equal})
	}
}

// alike says that a step left nothing to share out: every item had as many queries
// as another.
func alike(f Feedback) bool {
	for _, n := range f.Counts {
		if n != f.Counts[0] {
			return false
		}
	}
	return true
}

// Params are the allocator's learned parameters, nil where it has none.
func (g *Guard) Params() []float64 {
	if p, ok := g.Allocator.(Parameters); ok {
		return p.Params()
	}
	return nil
}

// State is the window and the allocator's own state.
func (g *Guard) State() ([]byte, error) {
	inner, err := g.Allocator.State()
	if err != nil {
		return nil, err
	}
	s := g.st
	s.Inner = inner
	return json.Marshal(s)
}

// Restore takes back what State gave.
func (g *Guard) Restore(b []byte) error {
	var s guardState
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("alloc: state: %w", err)
	}
	if err := g.Allocator.Restore(s.Inner); err != nil {
		return err
	}
	s.Inner = nil
	g.st = s
	return nil
}
