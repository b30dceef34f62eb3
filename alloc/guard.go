package allocator

import (
	"encoding/json"
	"fmt"
)

// Guard watches the gain that an allocator's counts had over equal shares, by
// the variances that the same queries showed. Where the mean gain over a window
// of steps is not positive it says so once, and with Options.Fallback gives
// equal shares for the rest of the run.
//
// The measured V̂_i and n_i belong to one step, but the fallback decides about
// later steps only, so that no estimate is allocated by its own noise.
type Guard struct {
	Allocator
	o  Options
	st guardState
}

type guardState struct {
	Gains  []float64 // 1 − ratio of the last steps, at most Window
	At     int       // where the next one goes
	Warned bool
	Equal  bool // fallen back
	Inner  []byte
}

// Watch puts a Guard around an allocator; of the options it reads MinQueries,
// Even, Fallback, Window and Warn.
func Watch(a Allocator, o Options) *Guard { return &Guard{Allocator: a, o: o} }

// Allocate asks the allocator, or gives equal shares after the fallback.
func (g *Guard) Allocate(s Signals, budget int) ([]int, error) {
	if g.st.Equal {
		return equal(len(s.Losses), s.Step, budget, g.o)
	}
	return g.Allocator.Allocate(s, budget)
}

// Observe passes the step on and adds its gain to the window.
func (g *Guard) Observe(f Feedback) {
	if g.st.Equal {
		return
	}
	g.Allocator.Observe(f)
	if g.st.Warned || g.o.Window < 1 {
		return
	}
	gain := 1 - PredictedRatio(f.Variance, f.Counts)
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
	g.st.Warned = true
	what := "allocator.fallback: true would return to equal shares"
	if g.o.Fallback {
		g.st.Equal = true
		what = "equal shares from now on"
	}
	if g.o.Warn != nil {
		g.o.Warn(fmt.Sprintf("step %d: %s gained nothing over the last %d steps (%.1f%%); %s", f.Step+1, g.Name(), g.o.Window, 100*mean, what))
	}
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
		return fmt.Errorf("allocator: state: %w", err)
	}
	if err := g.Allocator.Restore(s.Inner); err != nil {
		return err
	}
	s.Inner = nil
	g.st = s
	return nil
}
