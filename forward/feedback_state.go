package forward

import (
	"fmt"
	"strings"
)

// Residuals implements Surrogate: of all layers together, as one query asks them all.
func (f *Feedback) Residuals() map[int]Residual {
	out := map[int]Residual{}
	for b, s := range f.sites {
		if f.squares[0] > 0 && !f.known[b] {
			out[s] = Residual{Share: float64(f.squares[1] / f.squares[0]), Used: true}
		}
	}
	return out
}

const (
	stateMoments = "moments."
	stateAll     = "all"
)

// State implements Surrogate.
func (f *Feedback) State() map[string][]float32 {
	out := map[string][]float32{}
	if f.classes == 0 {
		return out
	}
	out[stateAll] = []float32{float32(f.classes), f.squares[0], f.squares[1]}
	for b, s := range f.sites {
		out[fmt.Sprint(stateJ, s)] = append([]float32{}, f.j[b]...)
		out[fmt.Sprint(stateMoments, s)] = append([]float32{}, f.moments[b]...)
	}
	return out
}

// Restore implements Surrogate.
func (f *Feedback) Restore(state map[string][]float32) error {
	f.classes, f.squares = 0, [2]float32{}
	all := state[stateAll]
	if len(all) == 0 {
		return nil
	}
	if len(all) != 3 || !(all[0] >= 1) || all[0] > 1<<20 {
		return fmt.Errorf("forward: a surrogate's state of %d numbers is none of local feedback", len(all))
	}
	if err := f.begin(int(all[0])); err != nil {
		return err
	}
	f.squares = [2]float32{all[1], all[2]}
	for b, s := range f.sites {
		j, m := state[fmt.Sprint(stateJ, s)], state[fmt.Sprint(stateMoments, s)]
		if len(j) != len(f.j[b]) || len(m) != moments && len(m) != meets {
			return fmt.Errorf("forward: a surrogate's state has %d and %d numbers of site %d", len(j), len(m), s)
		}
		copy(f.j[b], j)
		copy(f.moments[b], m)
	}
	for name := range state {
		if name != stateAll && !strings.HasPrefix(name, stateJ) && !strings.HasPrefix(name, stateMoments) {
			return fmt.Errorf("forward: a surrogate's state has %s, which is none of local feedback", name)
		}
	}
	return nil
}
