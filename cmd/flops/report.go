package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/report"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

// hardShown is how many of the hardest images a page shows.
const hardShown = 24

func reportCmd() *cobra.Command {
	var output string
	var images int
	c := &cobra.Command{
		Use: "report DIR", Short: "Write a run as one HTML page", Args: cobra.ExactArgs(1),
		Long: `Reads a run folder and writes one HTML page that needs no network: the curves,
where the queries went, the allocation over time, the hardest images of the
validation split or, where there is none, of the test split, the resolved config
and the environment. The images are found with the last checkpoint, which costs
forwards of that split; a model that can only be called is not asked for them.`,
		Example: `  flops report runs/cifar5
  flops report runs/cifar5 --output page.html --images 0`,
		RunE: func(c *cobra.Command, a []string) error {
			if images < 0 {
				return uierr.New(fmt.Sprintf("--images %d", images), "give the number of images to look at, 0 for none")
			}
			if output == "" {
				output = filepath.Join(a[0], "report.html")
			}
			warn := warner(c)
			page, err := runPage(c.Context(), a[0], images, warn)
			if err != nil {
				return err
			}
			if err := createFile(output, page.Write); errors.Is(err, os.ErrNotExist) {
				return uierr.Wrap(err, fmt.Sprintf("--output %s: there is no such folder", output),
					"name a file that can be written")
			} else if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "report %s\n", output)
			return err
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "file to write (default DIR/report.html)")
	c.Flags().IntVar(&images, "images", 2000, "images to look for the hardest among, 0: none")
	return c
}

// runPage reads a run folder into a page.
func runPage(ctx context.Context, dir string, images int, warn func(string)) (*report.RunReport, error) {
	path := filepath.Join(dir, "config.yaml")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, uierr.Wrap(err, fmt.Sprintf("%s is no run folder: it has no config.yaml", dir),
			"give a folder that 'flops train' wrote")
	}
	loaded, err := config.Load(path, nil)
	if err != nil {
		return nil, err
	}
	cfg := loaded.Config
	r, err := runs.Read(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range r.Notes {
		warn(n)
	}
	raw, err := config.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	p := &report.RunReport{Title: "Run: " + cfg.Name, Config: string(raw), Lead: lead(cfg)}
	if r.Env != nil {
		p.Env = envFacts(*r.Env)
	}
	fill(p, r, cfg)
	if images > 0 {
		if p.Hardest, err = hardest(ctx, cfg, dir, images); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			warn(fmt.Sprintf("no hardest images: %v", err))
		}
	}
	return p, nil
}

// lead says in a sentence what was run.
func lead(c config.Config) string {
	how := "backpropagation"
	if c.Estimator.Name != "bp" {
		how = fmt.Sprintf("the %s estimator, %d queries per image and perturbation shared out by %s", c.Estimator.Name,
			c.Budget.QueriesPerImage, c.Allocator.Name)
	}
	return fmt.Sprintf("%s of %d images by %s.", plural(c.Train.Steps, "step"), c.Train.BatchSize, how)
}

// fill puts the numbers of a run on its page.
func fill(p *report.RunReport, r *runs.Folder, c config.Config) {
	by := c.Checkpoint.BestMetric
	test, validation := followed{by: by}, followed{by: by}
	for _, m := range r.Metrics {
		p.Steps = append(p.Steps, report.StepPoint{Step: m.Step, Loss: m.Loss, Accuracy: m.Accuracy, Queries: m.Queries,
			GradNorm: m.GradNorm, LR: m.LR, Ratio: m.Ratio})
		test.add(m.Step, m.Queries, m.Eval)
		validation.add(m.Step, m.Queries, m.Validation)
	}
	p.Learned = learned(r.Metrics, c)
	if r.Ledger != nil {
		test.news(r.LastStep, r.Ledger.Total().Queries, r.Last)
		validation.news(r.ValidationStep, r.Ledger.Total().Queries, r.LastValidation)
	}
	p.Evals, p.Validations = test.points, validation.points
	p.Measures = measures(&validation, &test)
	for _, s := range r.Shares {
		p.Allocation = append(p.Allocation, report.SpreadOf(s.Step, s.Counts))
	}
	if n := len(r.Metrics); n > 0 {
		p.Facts = append(p.Facts, report.Fact{Name: "steps", Value: fmt.Sprint(r.Metrics[n-1].Step)})
	}
	p.Facts = append(p.Facts, outcome(r, &validation, &test)...)
	if r.Ledger == nil {
		return
	}
	t := r.Ledger.Total()
	p.Facts = append(p.Facts, report.Fact{Name: "queries", Value: report.Count(t.Queries)},
		report.Fact{Name: "operations", Value: report.Operations(float64(t.FLOPs))},
		report.Fact{Name: "time", Value: report.Duration(t.Seconds)})
	for _, purpose := range runs.Purposes() {
		e := r.Ledger.Of(purpose)
		p.Ledger = append(p.Ledger, report.Spent{Purpose: string(purpose), Queries: e.Queries, FLOPs: e.FLOPs,
			Seconds: e.Seconds})
	}
}

// learned are the parameters that the parts of a run learned, step by step.
func learned(metrics []runs.StepMetrics, c config.Config) []report.Learned {
	var out []report.Learned
	for _, m := range metrics {
		for _, l := range m.Learned(c) {
			i := slices.IndexFunc(out, func(o report.Learned) bool { return o.Of == l.Of })
			if i < 0 {
				i = len(out)
				out = append(out, report.Learned{Of: l.Of, Params: l.Params})
			}
			out[i].Points = append(out[i].Points, report.ParamPoint{Step: m.Step, W: l.Values})
		}
	}
	return out
}

// followed is a split along a run.
type followed struct {
	by         string // checkpoint.best_metric
	points     []report.EvalPoint
	evals      []*runs.Eval // of each point
	last, best *runs.Eval
}

func (f *followed) add(step int, queries int64, e *runs.Eval) {
	if e == nil {
		return
	}
	f.points = append(f.points, report.EvalPoint{Step: step, Queries: queries, Accuracy: e.Score(), Loss: e.Loss()})
	f.evals, f.last, f.best = append(f.evals, e), e, runs.Better(f.best, e, f.by)
}

// news adds what only the last checkpoint knows.
func (f *followed) news(step int, queries int64, e *runs.Eval) {
	if n := len(f.points); n == 0 || f.points[n-1].Step < step {
		f.add(step, queries, e)
	}
}

// outcome are the accuracies of a run; the best is of the split that it was
// followed by.
func outcome(r *runs.Folder, validation, test *followed) (out report.Facts) {
	accuracy := func(name string, e *runs.Eval) {
		if e != nil {
			out = append(out, report.Fact{Name: name, Value: report.Percent(e.Score())})
		}
	}
	accuracy("validation accuracy", validation.last)
	best := "best"
	if m := metric.Named(test.by); test.by != "" {
		best += " by " + m.Title
	}
	accuracy(best, validation.best)
	accuracy("test accuracy", test.last)
	if validation.last == nil {
		accuracy(best, test.best)
	} else if b := r.BestTest; b != nil {
		accuracy(fmt.Sprintf("test accuracy of step %d, the best", b.Step), &b.Eval)
	}
	return out
}

// hardest are the images of the validation split, or without one of the test
// split, with the highest loss.
func hardest(ctx context.Context, c config.Config, dir string, limit int) ([]report.Tile, error) {
	if c.Model.Kind != "local" {
		return nil, fmt.Errorf("a %s model is not asked for a page", c.Model.Kind)
	}
	c.Train.Device = device.CPU // a page is made anywhere
	x, err := train.Open(c, func(string) {})
	if err != nil {
		return nil, err
	}
	defer x.Close()
	hard, err := train.Hardest(ctx, x, dir, limit, hardShown)
	if err != nil {
		return nil, err
	}
	shown := x.Followed().Data
	var out []report.Tile
	for _, h := range hard {
		pic, err := shown.Image(h.Index)
		if err != nil {
			return nil, err
		}
		info := shown.Info(h.Index)
		out = append(out, report.Tile{Image: toImage(pic), Label: shown.Classes()[info.Label], Path: info.Path, Loss: h.Loss})
	}
	return out, nil
}
