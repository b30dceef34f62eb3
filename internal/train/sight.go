package train

import (
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/objective"
)

const (
	sightSteps = 10 // steps of a process that are looked at
	// sightLevel is how many roundings of the loss (lr.Rounding) its differences
	// have to be: a forward rounds many times, which was measured to come to 0.5
	// to 4 of them, on a network of one block and on one of six.
	sightLevel = 4
)

// sight looks whether the queries of a run's first steps can see anything: a
// difference of losses below the rounding of float32 is noise, however many
// queries are asked.
type sight struct {
	steps, blind int
	said         bool
}

// look returns a warning about the step just taken, once; else "". Where the
// step shows nothing wrong, what the config alone lets doubt is told.
func (g *sight) look(x *Experiment, s *lr.Step, records []forward.Record) string {
	if g.said || x.unmoved || g.steps == sightSteps || len(records) == 0 || s.Clean == nil {
		return ""
	}
	g.steps++
	line := g.measure(x, s, records)
	if doubts := config.Doubts(x.Config); line == "" && len(doubts) > 0 {
		line = doubts[0]
	}
	g.said = line != ""
	return line
}

func (g *sight) measure(x *Experiment, s *lr.Step, records []forward.Record) string {
	loss := mean(s.Clean.Losses)
	level := lr.Rounding(loss)
	low, most := 0, 0.0
	asked := 0
	for _, r := range records {
		if r.Perturbation.Kind == forward.Outputs {
			continue
		}
		asked++
		d := lr.Differences(r, x.Config.Estimator.Antithetic)
		if most = max(most, d); d < sightLevel*level {
			low++
		}
	}
	sigma, about := x.Config.Estimator.Sigma, fmt.Sprintf("float32 rounds a loss of %.3g by %.2g", loss, level)
	if most == 0 && asked > 0 {
		if x.jumps() {
			if g.blind++; g.blind < sightSteps {
				return "" // an answer that does not change may do so at the next step
			}
			about = "the objective is the same until an answer changes"
		}
		return fmt.Sprintf("estimator.sigma %g: no query of step %d changed its loss, so the gradient is 0 (%s); raise it",
			sigma, s.Number+1, about)
	}
	if x.jumps() || 2*low <= asked {
		return ""
	}
	where := ""
	if asked > 1 {
		where = fmt.Sprintf(" in %d of %d passes", low, asked)
	}
	return fmt.Sprintf("estimator.sigma %g: the losses of step %d differ by less than %.2g%s, and %s, "+
		"so much of the gradient is rounding; raise it",
		sigma, s.Number+1, sightLevel*level, where, about)
}

// jumps says whether the objective has no gradient of its own: it is the same
// until an answer changes, and then changes by much.
func (x *Experiment) jumps() bool {
	_, smooth := x.loss.(objective.Differentiable)
	return !smooth
}

// warnWarming tells of a run whose every step only teaches what predicts.
func (x *Experiment) warnWarming() {
	steps := x.Config.Train.Steps
	for _, p := range lr.Plan(x.Estimator, uint32(max(0, steps-1))) {
		if p.Kind == forward.Layers && len(p.Params) == 0 {
			x.warn(fmt.Sprintf("estimator.feedback_warmup: %d: none of the %d steps makes an update",
				lr.FeedbackWarmup.Of(x.Config.Estimator.Own), steps))
		}
	}
}

// warnUnmoved tells of parameters that the noise cannot move, because float32
// has nothing so near to their values.
func (x *Experiment) warnUnmoved() {
	if x.Warn == nil {
		return
	}
	var names []string
	var example float32
	trained := 0
	for _, p := range lr.Plan(x.Estimator, 0) {
		if p.Kind != forward.Weights {
			continue
		}
		for _, i := range p.Params {
			trained++
			w := x.Model.Params()[i]
			stuck := 0
			for _, v := range w.Data {
				if float32(v+p.Sigma[0]) == v && float32(v-p.Sigma[0]) == v {
					stuck, example = stuck+1, v
				}
			}
			if 2*stuck > len(w.Data) {
				names = append(names, w.Name)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	s := x.Config.Estimator.Sigma
	x.unmoved = true
	x.Warn(fmt.Sprintf("estimator.sigma %g is too small to move %d of %d tensors (%s): in float32 %g + %g is %g; raise it",
		s, len(names), trained, network.Names(names), example, s, example))
}
