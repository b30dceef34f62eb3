package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/ui"
)

// printKnown says what is known of the gradient before a query is asked, and why
// queries alone tell of the rest, as far as it was wanted.
func printKnown(w io.Writer, x *train.Experiment) {
	e, asks := x.Estimator.(lr.Asker)
	if !asks {
		return
	}
	own, name := x.Config.Estimator.Own, lr.Surrogate.Of(x.Config.Estimator.Own)
	if x.Local == nil || !lr.Is(x.Config.Estimator.Name, lr.AtSites) {
		if name != "none" || lr.ExactOutput.Of(own) {
			why := "the noise is on weights, and only queries tell of it"
			if x.Local == nil {
				why = "of a called model only its answers are known"
			}
			fmt.Fprintf(w, "predicted  nothing: %s\n", why)
		}
		return
	}
	k := lr.Knows(e, x.Model, x.Selection.Sites)
	if lr.ExactOutput.Of(own) || len(k.Exact) > 0 {
		printExact(w, x, k.Exact)
	}
	if name == "none" {
		return
	}
	if len(k.Predicted) > 0 {
		printSites(w, "predicted", x, k.Predicted, fmt.Sprintf(" (%s)", name))
	}
	if idle := untaught(x, k.Predicted); len(idle) > 0 && name == "linear" && lr.SurrogateKappa.Of(own) == 0 {
		printSites(w, "asked", x, idle, ": only for whether predictions are used")
	}
	if len(k.Follows) > 0 {
		printSites(w, "asked", x, k.Follows, ": predicted from value, which is not trained")
	}
	switch {
	case name == "local" && lr.FeedbackDerivative.Of(own) != "block":
		fmt.Fprintf(w, "trained    %s: of a block, without its derivative\n", straight[lr.FeedbackDerivative.Of(own)])
	case len(k.Asked) > 0 && name == "local":
		printSites(w, "predicted", x, k.Asked, ": by the derivative of the lowest block")
	case len(k.Asked) > 0:
		printSites(w, "asked", x, k.Asked, ": "+unpredicted(x))
	}
	if n := len(x.Selection.Direct); n > 0 && name == "linear" {
		fmt.Fprintf(w, "asked      %d parameters perturbed directly: they are no map\n", n)
	}
}

// untaught are those of some sites whose queries teach no surrogate.
func untaught(x *train.Experiment, sites []int) (out []int) {
	a, ok := forward.As[forward.Anchored](x.Model)
	if !ok {
		return nil
	}
	for _, i := range sites {
		if at, ok := a.Anchor(i); ok && !at.Teaches {
			out = append(out, i)
		}
	}
	return out
}

// straight are the maps of a block that learn by estimator.feedback_derivative.
var straight = map[string]string{"linear": "attn_out mlp_out", "none": "mlp_out"}

// paperQueries are those of an image and site in the paper's setting, four antithetic
// pairs (configs/paper.yaml).
const paperQueries = 8

// printSaved says how many queries a step of maps, one noisy after another, asks less than
// the same step in the paper's setting.
func printSaved(w io.Writer, x *train.Experiment, asked int) {
	c := x.Config
	if !lr.Is(c.Estimator.Name, lr.AtSites) || c.Estimator.Schedule != "per_site" && c.Estimator.Schedule != "" ||
		lr.Surrogate.Of(c.Estimator.Own) == "local" {
		return
	}
	passes := len(x.Selection.Sites)
	if len(x.Selection.Direct) > 0 {
		passes++
	}
	if all := c.Train.BatchSize * (1 + paperQueries*passes); asked < all {
		fmt.Fprintf(w, "saves      %s of the paper's %s queries a step (%d an image in %d passes)\n",
			ui.Count(int64(all-asked)), ui.Count(int64(all)), paperQueries, passes)
	}
}

// printExact says whether the gradient by the map to the outputs needs queries.
func printExact(w io.Writer, x *train.Experiment, exact []int) {
	if len(exact) > 0 {
		printSites(w, "exact", x, exact, ": no query")
		return
	}
	for _, i := range x.Selection.Sites {
		if x.Model.Sites()[i].Output {
			fmt.Fprintf(w, "exact      nothing: %s has no derivative, so %s keeps its queries\n",
				x.Config.Objective.Kind, x.Model.Sites()[i].Name)
		}
	}
}

// unpredicted says why sites are not predicted that could be in another setting.
func unpredicted(x *train.Experiment) string {
	switch {
	case lr.Predictor(x.Estimator) == nil && x.Config.Estimator.Schedule == "joint":
		return "not predicted where all are noisy at once"
	case !x.Config.Estimator.StructuralMask:
		return "not predicted without the structural mask"
	}
	return "several rows reach the loss"
}

// printSites is a line of sites, and what is said of them.
func printSites(w io.Writer, what string, x *train.Experiment, sites []int, says string) {
	fmt.Fprintf(w, "%-10s %s%s\n", what, siteNames(x, sites, 0, says), says)
}

// siteNames lists sites, block by block, or from which to which where they are too many for
// a line with what follows, and so many parameters that are no map.
func siteNames(x *train.Experiment, sites []int, direct int, follows string) string {
	var out []string
	last := ""
	for _, i := range sites {
		s := x.Model.Sites()[i]
		prefix := ""
		if s.Block >= 0 {
			prefix = fmt.Sprintf("block %d: ", s.Block)
			if prefix == last {
				prefix = ""
			} else {
				last = prefix
			}
		}
		out = append(out, prefix+s.Kind)
	}
	if direct > 0 {
		out = append(out, fmt.Sprintf("%d parameters perturbed directly", direct))
	}
	text := strings.Join(out, " ")
	if len(text)+len(follows) > ui.Width-11 {
		text = fmt.Sprintf("%d sites, %s to %s", len(sites), x.Model.Sites()[sites[0]].Name,
			x.Model.Sites()[sites[len(sites)-1]].Name)
	}
	return text
}
