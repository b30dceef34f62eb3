package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/measure"
	"github.com/flops-vit/flops/internal/pages"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

type allocFlags struct {
	configFlags
	ckpt, output string
	names        nameList
	batches      int
	o            measure.Options
	asJSON       bool
}

func allocateReportCmd() *cobra.Command {
	var f allocFlags
	c := &cobra.Command{
		Use: "allocate-report --config FILE", Short: "Show who gets the queries of a batch, and what it gains", Args: cobra.NoArgs,
		Long: `For a batch of an experiment, prints each image's loss and its queries under
every allocator, and the variance of the gradient against equal shares:
predicted from an independent probe of every image, and measured on repeated
draws.

With --checkpoint of a run that 'flops train' wrote, the allocators first learn
from the run's journal, as if each had been there. --output gets report.html
(one page that needs no network), report.json, allocators.csv, images.csv and,
for every allocator, a picture of the images ordered by their queries.`,
		Example: `  flops allocate-report --config configs/demo.yaml
  flops allocate-report --config configs/demo.yaml \
    --checkpoint runs/demo/checkpoints/last --output report`,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.add(c)
	c.Flags().StringVar(&f.ckpt, "checkpoint", "", "checkpoint of a run: RUN/checkpoints/step-N")
	c.Flags().StringVarP(&f.output, "output", "o", "", "folder for the report's files")
	c.Flags().Var(&f.names, "allocators", "allocators to compare (default all)")
	offerList(c, "allocators", func() []string { return config.Choices("allocator.name") })
	c.Flags().IntVar(&f.batches, "batches", 1, "batches to measure")
	c.Flags().IntVar(&f.o.Pairs, "pairs", 64, "directions per image of the probe")
	c.Flags().IntVar(&f.o.Draws, "draws", 30, "gradient draws per allocator")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return c
}

func (f *allocFlags) check() error {
	if f.o.Pairs < 2 || f.o.Draws < 2 || f.batches < 1 {
		return uierr.New(fmt.Sprintf("--pairs %d, --draws %d, --batches %d", f.o.Pairs, f.o.Draws, f.batches),
			"pairs and draws are at least 2, batches at least 1")
	}
	return nil
}

func (f *allocFlags) run(c *cobra.Command) error {
	cfg, err := f.load()
	if err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	warn := warner(c)
	x, err := train.Open(cfg, warn)
	if err != nil {
		return err
	}
	defer x.Close()
	e, ok := x.Estimator.(lr.Asker)
	if !ok {
		return uierr.New(fmt.Sprintf("estimator.name: %s asks no queries, so there is nothing to allocate",
			x.Estimator.Name()), "use --set estimator.name=activation")
	}
	all, err := f.allocators(cfg)
	if err != nil {
		return err
	}
	r := &pages.Allocation{Batches: f.batches, Pairs: f.o.Pairs, Draws: f.o.Draws,
		Paths: map[string][]pages.ParamPoint{}}
	t, err := f.learn(c.Context(), x, all, r)
	if err != nil {
		return err
	}
	f.o.Budget = cfg.PassQueries()
	if least := cfg.Train.BatchSize * shareable; cfg.Budget.QueriesPerImage < 2*float64(max(1, cfg.LeastDirection())) {
		f.o.Budget = least // a query each leaves nothing to share out
	}
	r.Step = t.Step
	var studies []*measure.Batch
	for k := range f.batches {
		b, err := x.Loader.Batch(t.Step + k)
		if err != nil {
			return err
		}
		s, clean, err := study(c.Context(), x, e, b, all, t.Step+k, f.o)
		if err != nil {
			return err
		}
		if k == 0 {
			if r.Sites, err = f.sites(c.Context(), x, e, b, t.Step); err != nil {
				return err
			}
			r.Images = images(x, b, clean, s)
		}
		r.Probe += s.Probe.Seconds()
		studies = append(studies, s)
	}
	r.Allocators = measure.Summarise(studies)
	for i, a := range all {
		r.Allocators[i].Params = settings.ParamsOf(a)
	}
	return f.write(c.OutOrStdout(), x, r)
}

// allocators are those asked for, equal shares first.
func (f *allocFlags) allocators(cfg config.Config) ([]alloc.Allocator, error) {
	names := f.names.list()
	for i, n := range names {
		if slices.Contains(names[:i], n) {
			return nil, uierr.New(fmt.Sprintf("--allocators: %q stands twice", n), "name each allocator once")
		}
	}
	if len(names) == 0 {
		names = config.Choices("allocator.name")
	}
	var all []alloc.Allocator
	for _, n := range append([]string{"uniform"}, names...) {
		if n == "uniform" && len(all) > 0 {
			continue
		}
		a, err := train.NewAllocator(cfg, n, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// learn brings the experiment to the checkpoint, the allocators with it where
// the run's journal is there.
func (f *allocFlags) learn(ctx context.Context, x *train.Experiment, all []alloc.Allocator,
	r *pages.Allocation) (*train.Trainer, error) {
	note := func(step int) {
		for _, a := range all {
			if v := settings.ParamsOf(a); v != nil {
				r.Paths[a.Name()] = append(r.Paths[a.Name()], pages.ParamPoint{Step: step, Values: v})
			}
		}
	}
	note(0)
	if f.ckpt == "" {
		return train.NewTrainer(x), nil
	}
	dir, err := checkpoint.Pointed(filepath.Clean(f.ckpt))
	if err != nil {
		return nil, err
	}
	run := filepath.Dir(filepath.Dir(dir))
	step, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), "step-"))
	if err != nil {
		return nil, uierr.New(fmt.Sprintf("--checkpoint %s is no checkpoint of a run", f.ckpt), "give RUN/checkpoints/step-N")
	}
	return train.ReplayLearning(ctx, x, run, step, all, note)
}

// benched measures an experiment on a batch, by what it trains.
func benched(ctx context.Context, x *train.Experiment, e lr.Asker, b *forward.Batch) (*measure.Bench, error) {
	k, err := measure.Start(ctx, x.Model, e, b, x.Selection.All(), x.Selection.Sites, x.Config.Estimator.Antithetic)
	if k != nil {
		k.Narrow = x.Narrow
	}
	return k, err
}

func study(ctx context.Context, x *train.Experiment, e lr.Asker, b *forward.Batch, all []alloc.Allocator, step int,
	o measure.Options) (*measure.Batch, *forward.Clean, error) {
	k, err := benched(ctx, x, e, b)
	if err != nil {
		return nil, nil, err
	}
	clean := k.Pass.Clean()
	sig := x.Signals(step, lr.On(k.Pass, uint32(step), b))
	s, err := k.Study(ctx, all, sig, o)
	return s, clean, err
}

func images(x *train.Experiment, b *forward.Batch, c *forward.Clean, s *measure.Batch) []measure.Image {
	out := make([]measure.Image, b.Size)
	for i := range out {
		info := x.TrainData.Info(int(b.Index[i]))
		out[i] = measure.Image{Index: int(b.Index[i]), Path: info.Path, Label: x.TrainData.Classes()[info.Label],
			Loss: float64(c.Losses[i]), Queries: map[string]int{}}
		for _, r := range s.Results {
			out[i].Queries[r.Name] = r.Counts[i]
		}
	}
	return out
}

// shareable is how many queries an image the allocators are compared at where the
// experiment's own are too few to differ.
const shareable = 8

// sites measures the estimate at every site, as a run has it.
func (f *allocFlags) sites(ctx context.Context, x *train.Experiment, e lr.Asker, b *forward.Batch,
	step int) ([]measure.Site, error) {
	k, err := benched(ctx, x, e, b)
	if err != nil {
		return nil, err
	}
	ref, err := k.Reference(ctx)
	if err != nil {
		return nil, err
	}
	if err := k.Again(ctx); err != nil { // the reference may have taken its place
		return nil, err
	}
	return k.Sites(ctx, func(s *lr.Step) error { return x.Share(s, step) }, max(f.o.Draws, 2), ref)
}
