package lr

import (
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

// Settings of the surrogates.
var (
	Surrogate = settings.New("surrogate", "linear",
		"what predicts the gradient at the sites before their queries, which then correct it")
	linear        = settings.Under(Surrogate, "linear")
	SurrogateGain = settings.New("surrogate_gain", 0.5, "gain of its learning, stable below 2",
		settings.Above(0, 2), linear)
	SurrogateFrom = settings.New("surrogate_from", "losses",
		"what it learns from: the losses of the queries, or all outputs of each (outputs)",
		settings.Among("losses", "outputs"), linear)
	SurrogateKappa = settings.New("surrogate_kappa", 1.0,
		"share of what the queries say beyond the prediction: 1 has no bias, less has less noise; with 0 queries "+
			"only teach what predicts, and those at query and key only decide whether the prediction is used",
		settings.From(0, 1), linear)
)

// Plain are settings of an estimator of which nothing is predicted and nothing known
// without a query.
func Plain() settings.Values { return Surrogate.With(ExactOutput.With(nil, false), "none") }

// Surrogates makes the activation estimator as a surrogate asks: of the options that
// it has without one. A surrogate may ask otherwise than by the schedules, as one
// whose queries answer more than a loss must.
type Surrogates func(m query.Model, o Options, f forward.Options) (*forward.Estimator, error)

var surrogates = map[string]Surrogates{}

// RegisterSurrogate adds a surrogate under the name that estimator.surrogate knows it
// by; call it from init. A name that is taken panics.
func RegisterSurrogate(name string, build Surrogates) {
	if surrogates[name] != nil {
		panic("lr: surrogate " + name + " registered twice")
	}
	surrogates[name] = build
	Surrogate.Choices = append(Surrogate.Choices, name)
}

func init() {
	RegisterSurrogate("linear", func(m query.Model, o Options, f forward.Options) (*forward.Estimator, error) {
		if err := mapsOnly(m, f.Sites); err != nil {
			return nil, err
		}
		if f.Schedule != "joint" {
			if l := forward.NewLinear(m, f.Sites, SurrogateGain.Of(o.Own), SurrogateKappa.Of(o.Own)); l != nil {
				f.Surrogate = l
			}
		}
		if f.Shown = SurrogateFrom.Of(o.Own) == "outputs"; f.Shown {
			if err := showsOutputs(m, f); err != nil {
				return nil, err
			}
		}
		return forward.Activation(m, f)
	})
	RegisterSurrogate("none", func(m query.Model, _ Options, f forward.Options) (*forward.Estimator, error) {
		if err := mapsOnly(m, f.Sites); err != nil {
			return nil, err
		}
		return forward.Activation(m, f)
	})
}

// showsOutputs refuses to learn from outputs where nothing would.
func showsOutputs(m query.Model, f forward.Options) error {
	known, _ := forward.As[forward.Known](m)
	for i, s := range m.Sites() {
		if f.Surrogate != nil && s.Output && known != nil && known.Known(i) {
			return nil
		}
	}
	return uierr.New("estimator.surrogate_from: outputs: nothing would be learned from the outputs here",
		"it needs a model of ours, an objective with a derivative, and sites that are predicted one at a time; "+
			"else leave it out")
}

// withSurrogate makes the activation estimator with the surrogate that its options name.
func withSurrogate(m query.Model, o Options, f forward.Options) (*forward.Estimator, error) {
	name := Surrogate.Of(o.Own)
	build := surrogates[name]
	if build == nil {
		return nil, uierr.New("estimator.surrogate: no surrogate "+name, "use linear, local or none")
	}
	return build(m, o, f)
}

// Predictor is the surrogate of an estimator, nil of one without.
func Predictor(e Estimator) forward.Surrogate {
	if a, ok := e.(asker); ok {
		if p, ok := a.Asker.(interface{ Surrogate() forward.Surrogate }); ok {
			return p.Surrogate()
		}
	}
	return nil
}
