package allocator

import (
	"errors"
	"slices"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

// parameters are what the gaussian allocator learns, under the names that
// allocator.freeze takes.
var parameters = []settings.Param{
	{Name: "w0", Doc: "mean of the scores"},
	{Name: "w1", Doc: "slope of that mean by the standardised loss"},
	{Name: "w2", Doc: "deviation of the scores"},
	{Name: "w3", Doc: "length scale of their correlation"},
}

// names are those of the parameters.
func names() []string {
	out := make([]string, len(parameters))
	for i, p := range parameters {
		out[i] = p.Name
	}
	return out
}

// Settings of the gaussian allocator.
var (
	Learn    = settings.New("learn", true, "learn the four parameters")
	Features = settings.New("features", "cls", "what tells images apart: the clean loss, or the cls embedding",
		settings.Among("loss", "cls"))
	Start = settings.New("w", []float64(nil), "the four starting parameters w0..w3, none for 1, 0.3, 0.1 and 1",
		settings.From(-1e9, 1e9), settings.Long("are not the four parameters w0 to w3",
			"give four numbers, or leave it out for the defaults", 0, 4), settings.That(start))
	Freeze = settings.New("freeze", []string(nil), "of w0 w1 w2 w3, those that are not learned",
		settings.Among(names()...))
	LR = settings.New("lr", 0.05, "rate of the learned parameters", settings.From(0, 10))
)

func init() {
	Register("gaussian", gaussian).Takes(Learn, Features, Start, Freeze, LR).Learns(parameters...)
}

func gaussian(o Options) (alloc.Allocator, error) {
	freeze, rate := Freeze.Of(o.Own), LR.Of(o.Own)
	g := alloc.GaussianOptions{Limits: o.Limits(), ByFeatures: Features.Of(o.Own) == "cls", Start: Start.Of(o.Own),
		Fixed: !Learn.Of(o.Own) || rate == 0, Rate: rate}
	for k, name := range names() {
		g.Freeze[k] = slices.Contains(freeze, name)
	}
	return alloc.NewGaussian(g)
}

// start asks package alloc whether the parameters may begin so.
func start(w []float64) error {
	_, err := alloc.NewGaussian(alloc.GaussianOptions{Start: w})
	var option *alloc.OptionError
	if errors.As(err, &option) {
		return uierr.Wrap(err, option.Is, option.Want)
	}
	return err
}
