package tune

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/uierr"
)

// Axis is a setting with the values that are tried of it.
type Axis struct {
	Key    string   `json:"key"`
	Values []string `json:"values"` // as --set takes them
}

// The settings that are tried where nothing else is asked, and how many values.
const (
	rateKey, rateValues   = "optimizer.lr", 5
	sigmaKey, sigmaValues = "estimator.sigma", 3
)

// fixed are settings that tries must have in common to be comparable, or that the
// search itself decides; one that ends with a dot stands for its section.
var fixed = []string{"name", "extends", "data.kind", "data.path", "data.train", "data.test", "data.classes",
	"data.few_shot", "data.validation", "data.validation_split", "data.split_seed", "objective.", "checkpoint.",
	"budget.max_queries", "train.steps", "train.seed", "train.eval_every", "train.eval_images", "train.metrics",
	"train.on_divergence"}

// ParseAxis reads KEY=VALUE,VALUE,...; a list in brackets is one value.
func ParseAxis(s string) (Axis, error) {
	where := "--over " + s
	key, list, ok := strings.Cut(s, "=")
	if !ok {
		return Axis{}, uierr.New(where+": no '='", "write a key with its values, as in optimizer.lr=1e-3,3e-3,1e-2")
	}
	a := Axis{Key: strings.TrimSpace(key), Values: values(list)}
	for i, v := range a.Values {
		if v == "" {
			return a, uierr.New(where+": a value is missing", "part values by single commas")
		}
		if slices.Contains(a.Values[:i], v) {
			return a, uierr.New(fmt.Sprintf("%s: %s stands there twice", where, v), "give each value once")
		}
		if err := config.CheckSet(where, a.Key+"="+v); err != nil {
			return a, err
		}
	}
	if a.Key == "budget.early" {
		return a, uierr.New(where+": tries are too short to tell more queries early from more queries",
			"try it on whole runs, as arms of 'flops compare'")
	}
	for _, f := range fixed {
		if a.Key == f || strings.HasSuffix(f, ".") && strings.HasPrefix(a.Key, f) {
			return a, uierr.New(fmt.Sprintf("%s: tries with another %s cannot be compared on one validation split",
				where, a.Key),
				"choose that by hand, and tune with each choice by --set")
		}
	}
	return a, nil
}

// values parts a list at the commas that stand in no brackets.
func values(list string) (out []string) {
	depth, from := 0, 0
	for i, c := range list + "," {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ',' && (depth <= 0 || i == len(list)):
			out = append(out, strings.TrimSpace(list[from:i]))
			from = i + 1
		}
	}
	return out
}

// around are n values from a tenth of x to ten times x, each as many times the one
// before, to three digits; x itself where n is 1.
func around(x float64, n int) []string { return geometric(x/10, 10*x, n) }

func geometric(lo, hi float64, n int) (out []string) {
	for i := range n {
		at := 0.5
		if n > 1 {
			at = float64(i) / float64(n-1)
		}
		out = append(out, fmt.Sprintf("%.3g", lo*math.Pow(hi/lo, at)))
	}
	return slices.Compact(out)
}

// tries is how many different runs a search over axes makes: the values of the
// first, and of each other one those beside the value that was chosen so far.
func tries(axes []Axis) int {
	n := 1
	for _, a := range axes {
		n += len(a.Values) - 1
	}
	return n
}
