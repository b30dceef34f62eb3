package lr

import (
	"fmt"
	"strconv"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

// Settings of the surrogates local and feedback.
var (
	whole    = settings.Under(Surrogate, "local")
	learning = settings.Under(Surrogate, "local", "feedback")

	Kappa = settings.New("kappa", "0",
		"share of the correction by the queries: 0, 1, or auto for that of least error",
		settings.Among("0", "1", "auto"), learning)
	FeedbackGain = settings.New("feedback_gain", 0.6,
		"gain of the learning of the Jacobians, stable below 2",
		settings.Above(0, 2), learning)
	FeedbackScale = settings.New("feedback_scale", true,
		"scale predictions by how far they agree with the queries", learning)
	FeedbackWeigh = settings.New("feedback_weigh", true,
		"learn the Jacobians most from images of large error", learning)
	FeedbackRows = settings.New("feedback_rows", "0.25",
		"the rows of a block's output that its parameters get a gradient through: all, those that are read "+
			"(read), or besides the cls row a share of the others, such as 0.25, drawn where the gradient is large",
		settings.That(func(s string) error { _, _, err := rowsOf(s); return err }), whole)
	FeedbackTop = settings.New("feedback_top", "exact",
		"what predictions begin with: the exact gradient after the last block, or nothing (learned)",
		settings.Among("exact", "learned"), whole)
	FeedbackDerivative = settings.New("feedback_derivative", "block",
		"what is used of a block's own derivative: all of it (block), or that attn_out and mlp_out add to the "+
			"row that is read (linear) or mlp_out alone (none), so that no other parameter of a block learns",
		settings.Among("block", "linear", "none"), whole)
	FeedbackWarmup = settings.New("feedback_warmup", 0,
		"steps before the first update, which only learn the Jacobians", settings.From(0, 1e6), learning)
)

func init() {
	RegisterSurrogate("local", newLocal)
}

// newLocal makes the estimator of whole layers.
func newLocal(m query.Model, o Options, f forward.Options) (*forward.Estimator, error) {
	l, err := feedbackOptions("local", o, f)
	if err != nil {
		return nil, err
	}
	l.Above = FeedbackTop.Of(o.Own) == "exact"
	if l.RowAlone, l.Rows, err = rowsOf(FeedbackRows.Of(o.Own)); err != nil {
		return nil, err
	}
	l.Derivative = derivatives[FeedbackDerivative.Of(o.Own)]
	e, err := forward.Local(m, l)
	return e, refusal("local", err)
}

// derivatives are the values of FeedbackDerivative.
var derivatives = map[string]forward.Derivative{"block": forward.OwnDerivative, "linear": forward.LinearDerivative,
	"none": forward.NoDerivative}

// rowsOf are the rows that FeedbackRows says: the one that is read alone, or a share of
// the others, 0 being all.
func rowsOf(s string) (alone bool, share float64, err error) {
	switch s {
	case "read":
		return true, 0, nil
	case "all":
		return false, 0, nil
	}
	if share, err = strconv.ParseFloat(s, 64); err != nil || !(share > 0 && share < 1) {
		return false, 0, uierr.New(fmt.Sprintf("%q is no choice of rows", s),
			"give all, read, or a share above 0 and below 1")
	}
	return false, share, nil
}

// feedbackOptions are the options of a surrogate that learns from how all outputs change.
func feedbackOptions(name string, o Options, f forward.Options) (forward.LocalOptions, error) {
	switch {
	case f.LearnSigma:
		return forward.LocalOptions{}, uierr.New("estimator.learn_sigma: true does not go with estimator.surrogate: "+name,
			"set estimator.learn_sigma: false")
	case f.Schedule == "random_site":
		return forward.LocalOptions{}, uierr.New("estimator.schedule: random_site does not go with "+
			"estimator.surrogate: "+name+", which asks all at once", "leave estimator.schedule out")
	}
	f.Schedule, f.Params = "joint", o.Params
	l := forward.LocalOptions{Options: f, Gain: FeedbackGain.Of(o.Own), Scaled: FeedbackScale.Of(o.Own),
		Weigh: FeedbackWeigh.Of(o.Own), Warmup: uint32(FeedbackWarmup.Of(o.Own))}
	switch Kappa.Of(o.Own) {
	case "auto":
		l.Kappa = -1
	case "1":
		l.Kappa = 1
	}
	return l, nil
}

// mapsOnly refuses sites that are no map, for those that know no others.
func mapsOnly(m query.Model, sites []int) error {
	for _, s := range sites {
		if x := m.Sites()[s]; x.Weight < 0 && len(x.Direct) == 0 {
			return uierr.New("sites.kinds: [residual] is for estimator.surrogate: local; "+x.Name+
				" is no map with a gradient of its own", "set estimator.surrogate: local, or name maps such as [query, mlp_in]")
		}
	}
	return nil
}
