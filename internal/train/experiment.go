package train

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/lora"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/texts"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// Experiment is a config with everything that it names built and checked.
type Experiment struct {
	Config     config.Config
	TrainData  data.Dataset
	Validation *Split       // nil where there is none
	Test       *Split       // nil where there is none, which there may be beside a validation split
	Loader     *data.Loader // of the training split
	Model      query.Model
	Local      *network.Local // nil where the model can only be called
	remote     *callable      // nil where it is a network of ours
	align      *Alignment     // nil where the objective is not contrastive
	words      *texts.Model   // nil where no context is learned before the names of classes
	loss       objective.Objective
	Selection  Selection
	Trained    []*forward.Param
	adapters   *lora.Set      // nil where none are trained
	begun      *network.Apart // that they begin with; nil: new ones
	cores      cores          // of the directions that they lie in; none of other adapters
	Estimator  lr.Estimator
	Allocator  alloc.Allocator // of the Sharer
	Sharer     *alloc.Sharer
	Optimizer  optim.Optimizer
	Schedule   optim.Schedule
	average    *optim.Average // of the trained weights; nil where none is wanted
	Cache      *Cache         // what is kept of the images
	Warn       func(string)   // one line, at most once per cause

	held    *optim.Held              // nil: gradients and updates are the host's
	unmoved bool                     // Warn was told that sigma is too small for the weights
	sums    map[string]runs.SplitSum // of the data, once they were asked for
}

// Open builds an experiment. A config's mistakes that only the data or the
// model can show (an empty class, too few images, a site that does not exist)
// are found here, before a query is spent.
func Open(c config.Config, warn func(string)) (*Experiment, error) {
	x := &Experiment{Config: c, Warn: warn}
	for _, build := range []func() error{x.openData, x.openModel, x.checkMetrics, x.openLoader, x.openHead, x.openMethod,
		x.openPrecision, x.checkCosine} {
		if err := build(); err != nil {
			x.Close()
			return nil, err
		}
	}
	x.planCache()
	return x, nil
}

// Close frees the model and closes the data.
func (x *Experiment) Close() {
	_ = x.closeAnswers() // a run has closed them itself; else they were only read
	_ = x.closeCache()   // of which each record was written whole
	if x.Loader != nil {
		x.Loader.Close()
	}
	for _, s := range x.Splits() {
		s.close()
	}
	if x.Model != nil {
		x.Model.Close()
	}
	if x.TrainData != nil {
		x.TrainData.Close()
	}
}

// checkMetrics refuses metrics that this experiment's model cannot be measured by.
func (x *Experiment) checkMetrics() error {
	t := metric.Task{Outputs: len(x.TrainData.Classes())}
	if x.align != nil {
		t = x.Followed().texts.Task()
	}
	if by := x.Config.Checkpoint.BestMetric; by != "" {
		if err := metric.Check(t, "checkpoint.best_metric", []string{by}); err != nil {
			return err
		}
	}
	return metric.Check(t, MetricsKey, x.Config.Train.Metrics)
}

func (x *Experiment) openData() (err error) {
	if x.TrainData, err = data.Open(x.Config.Data, data.Train); err != nil {
		return err
	}
	if err = x.openSplits(); err != nil {
		return err
	}
	n, b := x.TrainData.Len(), x.Config.Train.BatchSize
	if n < b {
		return uierr.New(fmt.Sprintf("train.batch_size: %d images in a batch, the training split has %d", b, n), fmt.Sprintf("set train.batch_size to at most %d", n))
	}
	if c := x.TrainData.Classes(); len(c) == 1 && slices.Contains([]string{"cross_entropy", "accuracy"},
		x.Config.Objective.Kind) {
		return uierr.New(fmt.Sprintf("%s: the training split has one class, %q, and any answer is right", x.Config.Data.Path,
			c[0]), "name a folder with two classes or more, or more in data.classes")
	}
	all := []data.Dataset{x.TrainData}
	for _, s := range x.Splits() {
		all = append(all, s.Data)
	}
	for _, s := range all {
		if bad := data.Skipped(s); len(bad) > 0 && x.Warn != nil {
			x.Warn(fmt.Sprintf("left out %d unreadable images, the first is %s (%s)", len(bad), bad[0].Path, bad[0].Reason))
		}
		for _, l := range data.LeftOut(s) {
			if l.Lost && x.Warn != nil {
				x.Warn(fmt.Sprintf("left out %v", l))
			}
		}
	}
	return nil
}

// noiseSource is the directions of the run.
func (x *Experiment) noiseSource() (noise.Source, error) { return x.directions().Source() }

func (x *Experiment) directions() *device.Noise {
	return &device.Noise{Kind: x.Config.Estimator.Noise, QMC: x.Config.Estimator.QMC, Seed: uint64(x.Config.Train.Seed),
		Within: x.cores.spans}
}

// prompts is the number of learned tokens.
func (x *Experiment) prompts() network.Tokens {
	if p := x.Config.Prompt; p.Kind == "tokens" {
		return network.Tokens{Count: p.Count, Deep: p.Deep}
	}
	return network.Tokens{}
}

func (x *Experiment) openModel() (err error) {
	c := x.Config
	if c.Model.Kind != "local" {
		return x.openRemote()
	}
	if network.Words(c.Prompt) {
		return x.openWords()
	}
	if c.Objective.Kind == "contrastive" {
		err = x.openProjection()
	} else if c.Model.Path != "" { // which an adapter always has
		err = x.openFolder()
	} else {
		x.Local, err = network.NewLocal(c.Model.Arch, x.TrainData.Classes(), x.prompts(), uint64(c.Train.Seed))
	}
	if err != nil {
		return err
	}
	if x.loss, err = x.openLoss(); err != nil {
		return err
	}
	net := vit.NewNet(x.Local.Weights)
	direct, err := x.openParts(net)
	if err == nil {
		err = x.openCores(net)
	}
	if err != nil {
		return err
	}
	x.Model, err = device.Open(c.Train.Device, net, device.Options{Threads: Threads(c), Loss: x.loss,
		Mask: c.Estimator.StructuralMask, Precision: c.Train.Precision, Warn: x.Warn,
		Exact: c.Prompt.Kind == "tokens" && c.Prompt.Exact, Noise: x.directions()})
	if err == nil && direct {
		err = x.direct()
	}
	if err == nil {
		err = x.spans()
	}
	return err
}

// openLoss is the config's objective.
func (x *Experiment) openLoss() (objective.Objective, error) {
	if x.align != nil {
		return x.align.loss, nil
	}
	return objective.Build(x.Config.Objective.Kind, objective.Options{Own: x.Config.Objective.Own})
}

// Threads is the number of workers that a config asks for.
func Threads(c config.Config) int {
	if c.Train.Threads > 0 {
		return c.Train.Threads
	}
	return runtime.GOMAXPROCS(0)
}

func (x *Experiment) openLoader() error {
	c := x.Config
	var t *data.Transform
	var err error
	if x.Local == nil {
		t = x.remote.transform
	} else if t, err = x.Local.Transform(c.Data); err != nil {
		return err
	} else if len(c.Data.Mean) > 0 || len(c.Data.Std) > 0 {
		x.Local.NormalizedAs(t) // what is saved is used as it was trained
	}
	x.Loader, err = data.NewLoader(x.TrainData, data.LoaderConfig{BatchSize: c.Train.BatchSize, Seed: uint64(c.Train.Seed), Shuffle: true,
		Transform: t, Workers: c.Data.Workers, Levels: x.takesLevels(), Variants: c.Data.Variants})
	if err != nil {
		return err
	}
	still := *t
	still.Flip, still.Crop = false, false
	for _, s := range x.Splits() {
		if err == nil {
			s.Loader, err = data.NewLoader(s.Data, data.LoaderConfig{BatchSize: 1, Transform: &still,
				Workers: c.Data.Workers, Levels: x.takesLevels()})
		}
	}
	return err
}

// takesLevels says that the model makes its inputs of bytes itself.
func (x *Experiment) takesLevels() bool {
	m, ok := x.Model.(interface{ TakesLevels() bool })
	return ok && m.TakesLevels()
}
