package main

import (
	"fmt"
	"io"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/vit"
)

// printPlan says what the run is about to do, sets being what was set for it alone.
func printPlan(w io.Writer, x *train.Experiment, dir string, sets []string) {
	c := x.Config
	trained, total := 0, 0
	for _, p := range x.Model.Params() {
		total += len(p.Data)
	}
	for _, p := range x.Trained {
		trained += len(p.Data)
	}
	how := c.Estimator.Name
	if _, asks := x.Estimator.(lr.Asker); asks {
		pair := "one-sided"
		if c.Estimator.Antithetic {
			pair = "antithetic pairs"
		}
		how = fmt.Sprintf("%s, %s, %s, sigma %g", how, orElse(c.Estimator.Schedule, "default schedule"), pair,
			c.Estimator.Sigma)
	}
	plan := lr.Plan(x.Estimator, 0)
	q := c.Train.BatchSize + c.PassQueries()*len(plan)
	fmt.Fprintf(w, "estimator  %s\n", how)
	if len(plan) > 0 {
		fmt.Fprintf(w, "allocator  %s\n", x.Allocator.Name())
	}
	fmt.Fprintf(w, "sites      %s\n", siteNames(x, x.Selection.Sites, len(x.Selection.Direct), ""))
	printKnown(w, x)
	fmt.Fprintf(w, "parameters %s trained of %s\n", ui.Count(int64(trained)), ui.Count(int64(total)))
	each := ui.Many(c.Budget.QueriesPerImage, "query", "queries") + " each"
	if c.Draws() {
		each = ui.Plural(c.PassQueries(), "query", "queries")
	}
	if c.Budget.Early > 0 && len(plan) > 0 {
		each += fmt.Sprintf(", from %d to %d in all", c.QueriesAt(0), c.QueriesAt(c.Train.Steps-1))
	}
	if x.Words() != nil {
		fmt.Fprintf(w, "queries    %s texts per step, for whatever number of images; each of %d images once\n",
			ui.Count(x.StepCost(0).Queries), x.TrainData.Len())
	} else {
		fmt.Fprintf(w, "queries    %s per step (%d images, %s of %s)\n", ui.Count(int64(q)),
			c.Train.BatchSize, ui.Plural(len(plan), "pass", "passes"), each)
		printSaved(w, x, q)
	}
	printRows(w, x)
	fmt.Fprintf(w, "data       %d training", x.TrainData.Len())
	for _, s := range x.Splits() {
		fmt.Fprintf(w, ", %d %s", s.Data.Len(), s.Name)
	}
	fmt.Fprintf(w, " images, %d classes\n", len(x.TrainData.Classes()))
	if c.Objective.Kind == "contrastive" {
		fmt.Fprintf(w, "texts      one per %s, width %d, %s\n", objective.Pairing.Of(c.Objective.Own),
			x.Local.Weights.Arch.Outputs(), orElse(objective.Embeddings.Of(c.Objective.Own), "of the model's own tower"))
	} else if x.Local != nil && x.Local.Head != "" {
		fmt.Fprintf(w, "classifier %s\n", x.Local.Head)
	}
	printCache(w, x.Cache)
	if keys := config.Unread(c, sets); len(keys) > 0 {
		fmt.Fprintf(w, "unread     %s\n", config.Braced(keys))
	}
	fmt.Fprintf(w, "engine     %s, kernel %s, %d threads\n", x.Model.Device(), kernel.Describe(), train.Threads(c))
	printPrecision(w, x)
	fmt.Fprintf(w, "run folder %s\n", dir)
}

// printPrecision says which maps multiply in bf16, and what is done for the queries.
func printPrecision(w io.Writer, x *train.Experiment) {
	if line, err := x.Precision(); err == nil && line != "" { // an error is the first step's too
		fmt.Fprintf(w, "precision  %s\n", line)
		return
	}
	r := x.Rounded()
	if r.Maps == 0 && !r.Few {
		return
	}
	queries := "what is perturbed is float32"
	switch {
	case r.Differences:
		queries = "queries multiply what their noise changed"
	case r.Few:
		queries += ", since differences would cost more at so few queries an image"
	}
	if kernel.HalfUnit() == "" {
		queries += "; without AMX or AVX512_BF16 no faster than float32"
	}
	fmt.Fprintf(w, "precision  bf16 on %s: %d of %d maps, %.0f%% of a forward; %s\n", kernel.DescribeHalf(), r.Maps, r.Of,
		100*float64(r.FLOPs)/float64(x.Model.ForwardFLOPs()), queries)
}

// printRows says what a query of the last block costs where its network reads more
// rows of it than one.
func printRows(w io.Writer, x *train.Experiment) {
	if x.Local == nil {
		return
	}
	e, ok := x.Local.Weights.Arch.(vit.Encoder)
	if !ok {
		return
	}
	most, live := int64(0), 0
	for _, i := range x.Selection.Sites {
		s := x.Model.Sites()[i]
		if s.Block == e.Layers-1 && s.Live > 1 && s.Kind != vit.Key && s.Kind != vit.Value {
			most, live = max(most, s.FLOPs), max(live, s.Live)
		}
	}
	if live > 1 {
		fmt.Fprintf(w, "rows       %d of the last block's %d are read (%s); a query there costs up to %.2g%% of a forward\n",
			live, e.Tokens(), e.Pooling(), 100*float64(most)/float64(x.Model.ForwardFLOPs()))
	}
}

// printCache says what is kept of the images, how large that is and what it saves.
func printCache(w io.Writer, c *train.Cache) {
	what := c.Mode
	if c.Mode != "off" {
		what = fmt.Sprintf("%s, up to %s of %s images; saves %.0f%% of a clean pass", c.Mode, ui.Bytes(c.Bytes()),
			ui.Count(int64(c.Images)), 100*float64(c.Saved)/float64(c.Of))
	}
	if c.Why != "" {
		what += ": " + c.Why
	}
	fmt.Fprintf(w, "cache      %s\n", what)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
