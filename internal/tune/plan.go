package tune

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
)

// Options are what a search is asked for. Those of a comparison say which
// experiment, with which arms each of which is tuned; Seeds and Points are not read.
type Options struct {
	compare.Options
	Over    []Axis  // nil: the rate, and the scale of the noise
	Share   float64 // of the queries of training of the run that is tuned for
	Wholes  int     // whole runs that a search ends with at most, 0: none; their queries come on top of Share
	By      string  // loss, accuracy or one of train.metrics, on the validation split
	Version string  // of the program, for env.json; Dir is runs/tune-NAME where it is empty
}

// Accuracy is what Options.By calls an experiment's score.
const Accuracy = "accuracy"

// Plan is the search of every arm, resolved and checked.
type Plan struct {
	Options
	Name     string // of the experiment
	Searches []*Search
}

// Search is what is tried of one experiment.
type Search struct {
	Arm    compare.Arm // its name is empty where there is but the experiment
	Config config.Config
	Axes   []Axis
	Whole  int64 // queries of training of the run that is tuned for
	Unit   int64 // of each try of the first round; later rounds are whole multiples

	plan  *Plan
	point []string // the value of each axis so far
	// steps of the experiment, and of its longest tries
	steps, short int
}

// MakePlan resolves the experiment, or every arm of it with as many steps as a
// comparison would give it, and opens each try once, so that a mistake in any of
// them is found before the first is run.
func MakePlan(o Options, arms []compare.Arm) (*Plan, error) {
	if !(o.Share > 0) || o.Share > 100 {
		return nil, uierr.New(fmt.Sprintf("--share %v", o.Share),
			"give the share of the run's queries that tuning may take, such as 0.2")
	}
	if o.Wholes < 0 || o.Wholes == 1 {
		return nil, uierr.New(fmt.Sprintf("--whole %d", o.Wholes),
			"give at least two whole runs, of which one can be chosen, or 0 to leave them out")
	}
	if err := apart(o.Over); err != nil {
		return nil, err
	}
	if o.By == "" {
		o.By = metric.Loss
	}
	p := &Plan{Options: o}
	all, err := p.experiments(arms)
	if err != nil {
		return nil, err
	}
	if p.Dir == "" {
		p.Dir = filepath.Join("runs", "tune-"+p.Name)
	}
	for _, s := range all {
		s.plan = p
		if err := s.prepare(); err != nil {
			return nil, s.in(err)
		}
	}
	p.Searches = all
	return p, nil
}

// apart refuses two axes of one setting.
func apart(over []Axis) error {
	for i, a := range over {
		if slices.ContainsFunc(over[:i], func(b Axis) bool { return a.Key == b.Key }) {
			return uierr.New("--over "+a.Key+": the setting is given twice", "give all of its values at once")
		}
	}
	return nil
}

// experiments are those to tune: of the arms, or the one that the file describes.
func (p *Plan) experiments(arms []compare.Arm) ([]*Search, error) {
	if len(arms) == 0 {
		c, err := p.Resolve(nil, p.Warn)
		if err != nil {
			return nil, err
		}
		p.Name = c.Name
		return []*Search{{Config: c}}, nil
	}
	o := p.Options.Options
	o.Seeds, o.Points = 1, 1
	equal, err := compare.MakePlan(o, arms)
	if err != nil {
		return nil, err
	}
	p.Name = equal.Base.Name
	var out []*Search
	for i, a := range arms {
		out = append(out, &Search{Arm: a, Config: equal.Configs[i]})
	}
	return out, nil
}

// in says which arm a mistake is in.
func (s *Search) in(err error) error {
	e, ok := uierr.As(err)
	if !ok || s.Arm.Name == "" {
		return err
	}
	return uierr.Wrap(err, fmt.Sprintf("arm %s: %s", s.Arm.Name, e.What), e.Hint)
}

// prepare finds the axes, checks every value on them and shares the queries out.
func (s *Search) prepare() error {
	if err := s.scored(); err != nil {
		return err
	}
	per, whole, asks, err := costOf(s.Config)
	if err != nil {
		return err
	}
	s.Whole = whole
	if m := s.Config.Budget.MaxQueries; m > 0 {
		s.Whole = min(s.Whole, m)
	}
	s.Axes = fit(s.Config, axesOf(s.Config, s.plan.Over), asks)
	if tries(s.Axes) < 2 {
		return uierr.New("there is one try alone, and nothing to choose", "give --over several values")
	}
	for _, a := range s.Axes {
		s.point = append(s.point, a.Values[len(a.Values)/2])
	}
	most := per
	for i, a := range s.Axes {
		for _, v := range a.Values {
			t, err := s.try(with(s.point, i, v))
			if err != nil {
				return err
			}
			most = max(most, t.step)
			if t.own(i) {
				s.point[i] = v
			}
		}
	}
	if err := s.share(most); err != nil {
		return err
	}
	t, err := s.try(s.point)
	if err == nil {
		s.steps, s.short = t.whole, t.config.Train.Steps
	}
	return err
}

// share gives each try of the first round its queries, of which a step takes most.
func (s *Search) share(most int64) error {
	n := int64(allUnits(s.Axes))
	s.Unit = int64(s.plan.Share*float64(s.Whole)*(1+1e-12)) / n // 0.7 of 960 is 672, whatever its rounding
	if s.plan.Smoke {                                           // a run of seconds has no queries to share
		s.Unit = max(s.Unit, most)
	}
	if s.Unit >= most {
		return nil
	}
	need := float64(n*most) / float64(s.Whole)
	return uierr.New(fmt.Sprintf("--share %g: %d tries get %d queries each at first, and a step of them takes %d",
		s.plan.Share, tries(s.Axes), s.Unit, most),
		fmt.Sprintf("give --share %.2g or more, or fewer values by --over", math.Ceil(100*need)/100))
}

// scored refuses an experiment whose tries could be scored by the test split alone,
// and a number that is not measured.
func (s *Search) scored() error {
	c, by := s.Config, s.plan.By
	switch {
	case by != metric.Loss && by != Accuracy && !slices.Contains(c.Train.Metrics, by):
		return uierr.New(fmt.Sprintf("--by %s is not measured", by),
			"give loss or accuracy, or add it to train.metrics")
	case !c.Data.HasValidation():
		return uierr.New("there is no validation split, and settings are not chosen on the test split",
			"hold training images out by --set data.validation=0.1, or name a split by data.validation_split")
	case c.Data.ValidationSplit == c.Data.Test:
		return uierr.New(fmt.Sprintf("data.validation_split: %s is the test split, on which no settings are chosen",
			c.Data.ValidationSplit), "name another split, or hold training images out by data.validation")
	}
	return nil
}

// costOf is the queries of a step of a try, of all steps of the experiment, and whether
// it asks any beside clean passes.
func costOf(c config.Config) (step, whole int64, asks bool, err error) {
	x, err := train.Open(c, func(string) {})
	if err != nil {
		return 0, 0, false, err
	}
	defer x.Close()
	_, asks = x.Estimator.(lr.Asker)
	whole = x.RunCost(c.Train.Steps).Queries
	x.Config.Budget.Early = 0 // as try has it
	return x.StepCost(0).Queries, whole, asks, nil
}

// Describe says in one line what is tried.
func (s *Search) Describe() string {
	var over []string
	for _, a := range s.Axes {
		over = append(over, fmt.Sprintf("%s %s", a.Key, strings.Join(a.Values, " ")))
	}
	whole := ""
	if n := s.wholes(); n > 1 {
		whole = fmt.Sprintf("; then up to %d whole runs, at the rate so chosen and beside it", n)
	}
	return fmt.Sprintf("%d tries at no more than %g of %d queries of training, by validation %s: %s; "+
		"tries end after at most %d of %d steps, with %.3g times the rate", tries(s.Axes), s.plan.Share, s.Whole, s.plan.By,
		strings.Join(over, ", then "), s.short, s.steps, math.Sqrt(float64(s.steps)/float64(s.short))) + whole
}

// with is a point with another value on an axis.
func with(point []string, axis int, value string) []string {
	out := slices.Clone(point)
	out[axis] = value
	return out
}
