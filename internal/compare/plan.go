package compare

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
)

// Options are what a comparison is asked for.
type Options struct {
	Config  string                     // the experiment's file
	Sets    []string                   // changes to every arm
	Smoke   bool                       // shrink every arm to seconds
	Seeds   int                        // runs per arm: train.seed, train.seed+1, ...
	Queries int64                      // of each run's training; 0: what the experiment itself takes
	Points  int                        // evaluations along each run
	Dir     string                     // where everything is written
	Warn    func(string)               // gets a line for each thing in the experiment that is likely a slip
	Device  func(*config.Config) error // settles and checks the device
}

// Plan is a comparison with every arm resolved and checked.
type Plan struct {
	Options
	Base    config.Config
	Arms    []Arm
	Configs []config.Config // parallel to Arms, with the first seed
	Target  int64           // queries of each run's training, 0 where MaxTotal rules
	FLOPs   int64           // floating-point operations of the experiment's training
	Steps   int             // of the experiment's training
}

// MakePlan resolves the arms and opens each once, so that a mistake in any of
// them is found before the first is run. Every arm that matches by queries gets
// as many steps as its queries pay for, the last of them smaller, and as many
// evaluations as the others; evaluations are counted apart. Where the
// experiment has budget.max_queries and --queries is not given, that total,
// evaluations included, is every arm's.
func MakePlan(o Options, arms []Arm) (*Plan, error) {
	if o.Seeds < 1 || o.Points < 1 || o.Queries < 0 {
		return nil, uierr.New(fmt.Sprintf("--seeds %d, --points %d, --queries %d", o.Seeds, o.Points, o.Queries),
			"seeds and points are at least 1, queries at least 0")
	}
	p := &Plan{Options: o, Arms: arms}
	var err error
	if p.Base, err = p.Resolve(nil, p.Warn); err != nil {
		return nil, err
	}
	if err := p.measure(); err != nil {
		return nil, err
	}
	for _, a := range arms {
		c, err := p.arm(a)
		if err != nil {
			return nil, inArm(a, err)
		}
		p.Configs = append(p.Configs, c)
	}
	return p, nil
}

// measure finds what the experiment itself takes, which is every arm's.
func (p *Plan) measure() error {
	base, err := p.open(p.Base)
	if err != nil {
		return err
	}
	defer base.x.Close()
	if !base.asks {
		return uierr.New("estimator.name: "+p.Base.Estimator.Name+
			" asks no queries, so nothing can be compared at equal queries",
			"name an experiment with another estimator, and this one as an arm")
	}
	p.Steps = p.Base.Train.Steps
	p.Target, p.FLOPs = base.all.Queries, base.all.FLOPs
	switch {
	case p.Options.Queries > 0:
		p.FLOPs = int64(float64(p.Options.Queries) / float64(p.Target) * float64(p.FLOPs))
		p.Target, p.Steps = p.Options.Queries, base.steps(p.Options.Queries)
	case p.Base.Budget.MaxQueries > 0:
		p.Target, p.Steps = 0, base.steps(p.Base.Budget.MaxQueries)
	}
	return nil
}

// inArm says which arm a mistake is in.
func inArm(a Arm, err error) error {
	if e, ok := uierr.As(err); ok {
		return uierr.Wrap(err, fmt.Sprintf("arm %s: %s", a.Name, e.What), e.Hint)
	}
	return fmt.Errorf("arm %s: %w", a.Name, err)
}

// Resolve is the experiment with changes beside those of every arm, on its device; warn
// gets a line for each thing in it that is likely a slip.
func (o *Options) Resolve(sets []string, warn func(string)) (config.Config, error) {
	r, err := config.Load(o.Config, append(slices.Clone(o.Sets), sets...))
	if err != nil {
		return config.Config{}, err
	}
	for _, w := range r.Warnings {
		warn(w)
	}
	if o.Smoke {
		config.Smoke(&r.Config)
	}
	return r.Config, o.Device(&r.Config)
}

// cost is what an opened experiment says of its steps.
type cost struct {
	x             *train.Experiment
	all           lr.Cost // of its training, at equal shares
	eval, end     int64   // queries of an evaluation along the run and of that at its end
	perturbations int
	asks          bool // queries at all
}

// steps is how many steps so many queries pay for, the last of them smaller.
func (c cost) steps(queries int64) int {
	of := func(steps int) int64 { return c.x.RunCost(steps).Queries }
	n := max(1, int(math.Ceil(float64(queries)*float64(c.x.Config.Train.Steps)/float64(c.all.Queries))))
	for n > 1 && of(n-1) >= queries { // by how steps are rounded where they differ
		n--
	}
	for of(n) < queries {
		n++
	}
	return n
}

// open builds an experiment, which is to be closed.
func (p *Plan) open(c config.Config) (cost, error) {
	x, err := train.Open(c, func(string) {})
	if err != nil {
		return cost{}, err
	}
	_, asks := x.Estimator.(lr.Asker)
	return cost{x, x.RunCost(c.Train.Steps), x.EvalCost(), x.EndCost(), len(lr.Plan(x.Estimator, 0)), asks}, nil
}

// arm resolves one arm and gives it its steps.
func (p *Plan) arm(a Arm) (config.Config, error) {
	c, err := p.Resolve(a.Set, func(string) {})
	if err != nil {
		return c, err
	}
	c.Name, c.Checkpoint.KeepBest = a.Name, false
	c.Cluster = config.Default().Cluster // whole runs are shared out, and no run's queries
	k, err := p.open(c)
	if err != nil {
		return c, err
	}
	defer k.x.Close()
	switch {
	case a.Match == MatchFLOPs:
		if k.all.FLOPs == 0 {
			return c, uierr.New("match: flops, and the operations of this model are not known", "use match: queries")
		}
		c.Train.Steps, c.Budget.MaxQueries = int(max(1, p.FLOPs/(k.all.FLOPs/int64(c.Train.Steps)))), 0
	case a.Match == MatchSteps:
		c.Train.Steps, c.Budget.MaxQueries = p.Steps, 0
	case !k.asks:
		return c, uierr.New("estimator.name: "+c.Estimator.Name+" asks no queries, so it cannot match by queries",
			"give the arm match: flops or match: steps")
	case p.Target == 0:
		c.Train.Steps = k.steps(c.Budget.MaxQueries)
	default:
		asked, begin := int64(c.LeastPass()*k.perturbations), k.x.BeginCost().Queries
		if least := int64(c.Train.BatchSize) + asked; p.Target < begin+least {
			before := ""
			if begin > 0 {
				before = fmt.Sprintf(" and what comes before it %d", begin)
			}
			return c, uierr.New(fmt.Sprintf("%d queries do not pay for one step", p.Target),
				fmt.Sprintf("a step costs at least %d%s: a clean pass of %d images and %d queries besides; raise --queries",
					least, before, c.Train.BatchSize, asked))
		}
		c.Train.Steps = k.steps(p.Target)
	}
	c.Train.EvalEvery = max(1, (c.Train.Steps+p.Points-1)/p.Points)
	c.Checkpoint.Every, c.Checkpoint.KeepLast = c.Train.EvalEvery, 1
	if a.Match == MatchQueries && p.Target > 0 {
		evals := int64((c.Train.Steps + c.Train.EvalEvery - 1) / c.Train.EvalEvery)
		c.Budget.MaxQueries = p.Target + (evals-1)*k.eval + k.end
	}
	if k.x.Config = c; a.Match == MatchQueries {
		if err := k.x.CheckBudget(); err != nil {
			return c, err
		}
	}
	return c, config.Validate(&c)
}

// Run is one arm with one seed.
type Run struct {
	Arm  int
	Seed int64
	Name string // ARM/seed-N, the run folder within Dir
}

// Runs lists the runs in their order: every arm with the first seed, then every
// arm with the next.
func (p *Plan) Runs() []Run {
	var out []Run
	for k := range p.Seeds {
		for i, a := range p.Arms {
			seed := p.Configs[i].Train.Seed + int64(k)
			out = append(out, Run{i, seed, filepath.Join(a.Name, fmt.Sprintf("seed-%d", seed))})
		}
	}
	return out
}

// ConfigOf is the experiment of a run.
func (p *Plan) ConfigOf(r Run) config.Config {
	c := p.Configs[r.Arm]
	c.Train.Seed = r.Seed
	return c
}

// Describe says in one line what is equal between the arms.
func (p *Plan) Describe() string {
	names := map[string][]string{}
	for _, a := range p.Arms {
		names[a.Match] = append(names[a.Match], a.Name)
	}
	s := fmt.Sprintf("%d queries of training per run, evaluations apart", p.Target)
	if p.Target == 0 {
		s = fmt.Sprintf("%d queries per run, evaluations included", p.Base.Budget.MaxQueries)
	}
	if n := names[MatchFLOPs]; n != nil {
		s += fmt.Sprintf("; %s: equal operations", strings.Join(n, ", "))
	}
	if n := names[MatchSteps]; n != nil {
		s += fmt.Sprintf("; %s: %d steps", strings.Join(n, ", "), p.Steps)
	}
	return s
}
