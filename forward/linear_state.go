package forward

import (
	"fmt"
	"strings"
)

// Residuals implements Surrogate.
func (l *Linear) Residuals() map[int]Residual {
	out := map[int]Residual{}
	for s, f := range l.sites {
		if f.c2 > 0 { // else it was never asked
			out[s] = Residual{Share: min(1e6, float64(f.r2)/float64(f.c2)), Used: f.used()}
		}
	}
	return out
}

// The names of what State keeps: of E[e eᵀ], and before the name of an anchor or the
// number of a site.
const (
	stateS       = "s"
	stateJ       = "jacobian."
	stateSpread  = "spread."
	stateSquares = "squares."
)

// State implements Surrogate. A running mean ends with its weight.
func (l *Linear) State() map[string][]float32 {
	out := map[string][]float32{}
	if l.s != nil {
		out[stateS] = append(append([]float32{}, l.s...), l.weight)
	}
	for name, j := range l.anchors {
		if j.j != nil {
			out[stateJ+name] = append([]float32{}, j.j...)
			out[stateSpread+name] = append(append([]float32{}, j.d...), j.weight)
		}
	}
	for s, f := range l.sites {
		out[fmt.Sprint(stateSquares, s)] = []float32{f.c2, f.r2}
	}
	return out
}

// Restore implements Surrogate.
func (l *Linear) Restore(state map[string][]float32) error {
	l.of, l.s, l.weight, l.classes = nil, nil, 0, 0
	for _, j := range l.anchors {
		j.j, j.d, j.weight = nil, nil, 0
	}
	for _, f := range l.sites {
		*f = followed{anchor: f.anchor}
	}
	if v := state[stateS]; len(v) > 1 {
		n := len(v) - 1
		for l.classes*l.classes < n {
			l.classes++
		}
		if l.classes*l.classes != n {
			return fmt.Errorf("forward: a surrogate's state of %d numbers is no square matrix", n)
		}
		l.s, l.weight = append([]float32{}, v[:n]...), v[n]
	}
	for name, v := range state {
		switch {
		case strings.HasPrefix(name, stateJ):
			at := l.anchors[strings.TrimPrefix(name, stateJ)]
			d := state[stateSpread+strings.TrimPrefix(name, stateJ)]
			if at == nil || len(v) != l.classes*at.Width || len(d) != at.Width+1 {
				return fmt.Errorf("forward: a surrogate's state has %s of %d numbers, which fits none of its anchors",
					name, len(v))
			}
			at.j, at.d, at.weight = append([]float32{}, v...), append([]float32{}, d[:at.Width]...), d[at.Width]
		case strings.HasPrefix(name, stateSquares):
			var s int
			_, err := fmt.Sscan(strings.TrimPrefix(name, stateSquares), &s)
			if err != nil || l.sites[s] == nil || len(v) != 2 {
				return fmt.Errorf("forward: a surrogate's state has %s, and no such site", name)
			}
			l.sites[s].c2, l.sites[s].r2 = v[0], v[1]
		}
	}
	return nil
}
