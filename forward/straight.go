package forward

import "slices"

// straighten leaves, of every layer's parameters, those that learn without its own
// derivative, and refuses those that were asked for beside its maps.
func (l *local) straighten() error {
	if l.o.Derivative == OwnDerivative {
		return nil
	}
	l.o.RowAlone, l.o.Rows = true, 0
	learn := 0
	for b := range l.layers {
		x := &l.layers[b]
		if l.o.Derivative == NoDerivative && len(x.Adds) > 1 {
			x.Adds = x.Adds[len(x.Adds)-1:]
		}
		var own []int
		for _, p := range x.Params {
			at := l.m.Params()[p]
			switch {
			case slices.ContainsFunc(x.Adds, func(a Addend) bool { return slices.Contains(a.Params, p) }):
				own = append(own, p)
			case at.Role != "linear" || at.Block < 0:
				return &OptionError{"Params", at.Name, "nothing reaches it without a layer's own derivative",
					ErrUnreached}
			}
		}
		x.Params, learn = own, learn+len(own)
	}
	if learn == 0 {
		return &OptionError{"Params", "nothing of a layer", "name maps that add to its output", ErrNoneLearns}
	}
	return nil
}
