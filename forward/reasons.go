package forward

import "errors"

// Reasons for which Local and Shared refuse sites and parameters, for errors.Is.
var (
	ErrUnlayered  = errors.New("a model without layers")
	ErrNoLayer    = errors.New("no layer's output among the sites")
	ErrGap        = errors.New("layers that do not follow one another")
	ErrUngraded   = errors.New("a loss without a derivative by the outputs")
	ErrOutside    = errors.New("a parameter of no layer whose output is among the sites")
	ErrUnreached  = errors.New("a parameter that nothing reaches without a layer's own derivative")
	ErrNoneLearns = errors.New("no parameter of a layer that something reaches")
	ErrNoParams   = errors.New("no site of parameters")
	ErrMap        = errors.New("a site that is a map")
)

// graded refuses a model whose loss has no derivative by its outputs, which feedback is
// learned from; of one that has no map to its outputs a pass will tell.
func graded(m Model) error {
	for i, s := range m.Sites() {
		if s.Output && !known(m, []int{i})[i] {
			return &OptionError{"Sites", s.Name, "use a loss with a derivative by the outputs, such as cross-entropy",
				ErrUngraded}
		}
	}
	return nil
}
