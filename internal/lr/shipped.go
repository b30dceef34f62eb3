package lr

import (
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

// Settings of the activation estimator.
var (
	LearnSigma  = settings.New("learn_sigma", false, "follow the gradient of the smoothed loss by each site's scale")
	ExactOutput = settings.New("exact_output", true,
		"take the classifier's gradient from the clean pass, without a query, where the objective has a derivative",
		settings.Under(Surrogate, "none", "linear")) // others need it
	SigmaLR = settings.New("sigma_lr", 0.01, "rate of the learned scale", settings.From(0, 10))
)

func init() {
	Register("weight", newWeight, "all", "tensor")
	Register("activation", newActivation, "per_site", "joint", "random_site").Takes(LearnSigma, SigmaLR,
		ExactOutput, Surrogate, SurrogateGain, SurrogateFrom, SurrogateKappa, Kappa, FeedbackGain, FeedbackScale,
		FeedbackWeigh, FeedbackRows, FeedbackTop, FeedbackDerivative, FeedbackWarmup).Is(AtSites)
}

// asker is an estimator of package forward.
type asker struct{ *forward.Estimator }

// Cost is that of every perturbation's queries.
func (a asker) Cost(m query.Model, step uint32, images, queries int64) (e Cost) {
	e.Queries, e.FLOPs = a.StepCost(m, step, images, queries)
	return e
}

func newActivation(m query.Model, o Options) (Estimator, error) {
	if len(o.Sites) == 0 {
		return nil, uierr.New("sites: no site is trained", "name blocks and kinds, or set sites.classifier: true")
	}
	f := o.forward()
	f.Params = o.Direct
	f.ExactOutput = ExactOutput.Of(o.Own)
	f.LearnSigma, f.SigmaRate = LearnSigma.Of(o.Own), SigmaLR.Of(o.Own)
	e, err := withSurrogate(m, o, f)
	return asker{e}, err
}

func newWeight(m query.Model, o Options) (Estimator, error) {
	if len(o.Params) == 0 {
		return nil, uierr.New("sites: no parameter is trained", "name blocks and kinds, or a prompt")
	}
	e, err := forward.Weight(m, o.forward())
	return asker{e}, err
}

// forward are the options as package forward takes them.
func (o Options) forward() forward.Options {
	return forward.Options{Schedule: o.Schedule, Antithetic: o.Antithetic, Sigma: o.Sigma, Sites: o.Sites,
		Params: o.Params, Seed: o.Seed, Noise: o.Noise}
}
