package lr

import (
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

// Settings of the surrogate local.
var (
	Kappa = settings.New("kappa", "0", "local: share of the correction by the queries: 0, 1, or auto for that of least error",
		settings.Among("0", "1", "auto"))
	FeedbackGain   = settings.New("feedback_gain", 0.6, "local: gain of the learning of the Jacobians, stable below 2", settings.Above(0, 2))
	FeedbackScale  = settings.New("feedback_scale", true, "local: scale predictions by how far they agree with the queries")
	FeedbackWeigh  = settings.New("feedback_weigh", true, "local: learn the Jacobians most from images of large error")
	FeedbackWarmup = settings.New("feedback_warmup", 0, "local: steps before the first update, which only learn the Jacobians", settings.From(0, 1e6))
)

func init() {
	RegisterSurrogate("local", newLocal)
}

// newLocal makes the estimator of whole layers.
func newLocal(m query.Model, o Options, f forward.Options) (*forward.Estimator, error) {
	f.Schedule, f.Params = "joint", o.Params
	l := forward.LocalOptions{Options: f, Gain: FeedbackGain.Of(o.Own), Scaled: FeedbackScale.Of(o.Own),
		Weigh: FeedbackWeigh.Of(o.Own), Warmup: uint32(FeedbackWarmup.Of(o.Own))}
	switch k := Kappa.Of(o.Own); k {
	case "auto":
		l.Kappa = -1
	default:
		fmt.Sscan(k, &l.Kappa)
	}
	e, err := forward.Local(m, l)
	if err != nil {
		return nil, uierr.New("estimator.surrogate: local: "+err.Error(),
			"set sites.kinds: [residual] on a network of our own whose classifier reads one row, or use linear")
	}
	return e, nil
}
