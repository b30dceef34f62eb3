package lr

import (
	"errors"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
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
	var wrong *forward.OptionError
	if errors.As(err, &wrong) {
		return nil, uierr.New(fmt.Sprintf("estimator.surrogate: feedback: %s: %s", wrong.Is, wrong.Want),
			"set sites.train: bias, norm or prompt, without sites.kinds: [residual], or estimator.surrogate: linear")
	}
	return e, err
}
