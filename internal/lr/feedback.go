package lr

import (
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
)

func init() { RegisterSurrogate("feedback", newFeedback) }

// newFeedback makes the estimator of parameters that noise is added to themselves, all
// in one query.
func newFeedback(m query.Model, o Options, f forward.Options) (*forward.Estimator, error) {
	l, err := feedbackOptions("feedback", o, f)
	if err != nil {
		return nil, err
	}
	e, err := forward.Shared(m, l)
	return e, refusal("feedback", err)
}
