// Package pages makes of results what is read: pages, tables and pictures in files,
// a run on a terminal, in its log and as TensorBoard events. How a page looks is
// package report's.
package pages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/report"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/uierr"
)

// Run reads a run folder into a page. images bounds those that the hardest are
// looked for among, 0 being none.
func Run(ctx context.Context, dir string, images int, warn func(string)) (*report.RunReport, error) {
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
	how := fmt.Sprintf("the %s estimator, which asks no queries", c.Estimator.Name)
	if c.Asks() {
		how = fmt.Sprintf("the %s estimator, %s per image and perturbation shared out by %s", c.Estimator.Name,
			ui.Many(c.Budget.QueriesPerImage, "query", "queries"), c.Allocator.Name)
	}
	return fmt.Sprintf("%s of %d images by %s.", ui.Plural(c.Train.Steps, "step", "steps"), c.Train.BatchSize, how)
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
	p.Feedback = feedback(r.Metrics)
	for _, s := range r.Sharing {
		p.Sharing = append(p.Sharing, report.SharePoint(s))
	}
	if r.Ledger != nil {
		test.news(r.LastStep, r.Ledger.Total().Queries, r.Last)
		validation.news(r.ValidationStep, r.Ledger.Total().Queries, r.LastValidation)
	}
	for _, points := range [][]report.EvalPoint{test.points, validation.points} {
		for i := range points {
			points[i].Seconds, _ = r.SecondsAt(points[i].Step)
		}
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
			out[i].Points = append(out[i].Points, report.ParamPoint{Step: m.Step, Values: l.Values})
		}
	}
	return out
}

// feedback are what a surrogate left at each site, and cosines to backpropagation.
func feedback(metrics []runs.StepMetrics) []report.Traced {
	left := report.Traced{Title: "Left by the surrogate",
		How: "Falling: the surrogate foresees more of what queries say, and fewer of them would do. At 1 or above it " +
			"helps nothing."}
	cosine := report.Traced{Title: "Cosine to backpropagation",
		How: "At 1 the step's gradient points where backpropagation's does, at 0 it is noise. Averaged over many " +
			"steps a small one is enough."}
	for _, m := range metrics {
		if len(m.Residual) > 0 {
			left.Points = append(left.Points, report.TracedPoint{Step: m.Step, Values: m.Residual})
		}
		if len(m.Cosine) > 0 {
			cosine.Points = append(cosine.Points, report.TracedPoint{Step: m.Step, Values: m.Cosine})
		}
	}
	return []report.Traced{left, cosine}
}

// hardShown is how many of the hardest images a page shows.
const hardShown = 24

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
