package forward

import "slices"

// chain finds the layers, and which of them each parameter belongs to.
func (l *local) chain(m Layered) error {
	known, owned := known(m, l.o.Sites), map[int]bool{}
	take := func(of []int) (own []int) { // a parameter may be part of several layers
		for _, p := range of {
			if slices.Contains(l.o.Params, p) {
				own, owned[p] = append(own, p), true
			}
		}
		return own
	}
	var sites []int
	for _, s := range l.o.Sites {
		at, ok := m.Layer(s)
		switch {
		case ok && len(l.layers) > 0 && at.Number != l.layers[len(l.layers)-1].Number+1:
			return &OptionError{"Sites", m.Sites()[s].Name, "name the outputs of layers that follow one another", ErrGap}
		case ok:
			at.Params, sites = take(at.Params), append(sites, s)
			l.layers = append(l.layers, at)
		case known[s]:
			l.exact = append(l.exact, s)
			take(m.Sites()[s].Params())
		}
	}
	if len(sites) == 0 {
		return &OptionError{"Sites", "no layer's output", "name some", ErrNoLayer}
	}
	l.o.Sites, l.top = sites, take(slices.DeleteFunc(slices.Clone(m.Top()), func(p int) bool { return owned[p] }))
	for i := range m.Sites() {
		if at, ok := m.Layer(i); ok && at.Last {
			if l.end = []int{i}; l.o.Above && !slices.Contains(sites, i) {
				l.last = l.end
			}
		}
	}
	for _, p := range l.o.Params {
		if !owned[p] {
			return &OptionError{"Params", m.Params()[p].Name, "it is part of no layer whose output is among the sites",
				ErrOutside}
		}
	}
	return nil
}
