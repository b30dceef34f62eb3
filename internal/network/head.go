package network

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/uierr"
)

// MatchClasses finds the model's number of each class of the data, by name
// (data.Match). images counts those of each class, nil where all matter: a class
// without any need not be known to the model. Of classes that are not the model's,
// or whose name the model has twice, it says what is wrong, else "".
func MatchClasses(classes []string, images []int, model []string) (at []int32, wrong string) {
	at = make([]int32, len(classes))
	if slices.Equal(classes, model) { // names that stand twice are told apart by their place
		for i := range at {
			at[i] = int32(i)
		}
		return at, ""
	}
	times := map[string]int{}
	for _, n := range model {
		times[n]++
	}
	for i, k := range data.Match(classes, model) {
		switch {
		case k < 0 && images != nil && images[i] == 0:
		case k < 0:
			return nil, fmt.Sprintf("class %q of the data is none of the model's", classes[i])
		case times[model[k]] > 1:
			return nil, fmt.Sprintf("class %q of the data is the name of two of the model's", classes[i])
		default:
			at[i] = int32(k)
		}
	}
	return at, ""
}

// Names lists the first few of many names.
func Names(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// headFor says which row of a model's classifier answers each of the classes
// that are asked for, nil where a new one has to be drawn; note says why, or what
// else there is to know.
func headFor(m *hf.Model, classes []string) (rows []int32, note string) {
	model := m.Config.Labels
	if m.Classes() == 0 {
		return nil, "new: the model has none"
	}
	rows, wrong := MatchClasses(classes, nil, model)
	switch {
	case wrong != "":
		return nil, "new: " + wrong
	case len(classes) != len(model):
		return nil, fmt.Sprintf("new: the model knows %d classes, the data has %d of them", len(model), len(classes))
	case !slices.IsSorted(rows):
		note = "the model's, its classes in the data's order"
	}
	return rows, note
}

// reorder picks rows of a matrix.
func reorder(dst, src []float32, rows []int32) {
	width := len(src) / len(rows)
	for i, r := range rows {
		copy(dst[i*width:(i+1)*width], src[int(r)*width:])
	}
}

// needHead refuses a model without classifier where classes are asked for.
func (l *Local) needHead(path string) error {
	if !l.NewHead && !l.Bare {
		return nil
	}
	what := path + ": the model has no classifier, so it says of no image what it shows"
	if l.Bare && hf.HasText(path) {
		return uierr.New(what, "name the classes: flops predict --labels NAME,NAME; or train a classifier")
	}
	return uierr.New(what,
		"train makes one: flops train --set model.path="+path+" and your data; flops embed takes the model as it is")
}

// OneClass refuses a model that does not choose one class for each image, where
// that is what is measured. path names it.
func (t *Trained) OneClass(path string) error {
	if t.Local == nil {
		return nil
	}
	what := ""
	switch kind := t.Local.Config.ProblemType; {
	case kind == hf.MultiLabel || kind == hf.Regression:
		what = "problem_type " + kind
	case len(t.Labels) == 1:
		what = "one output"
	default:
		return nil
	}
	return uierr.New(fmt.Sprintf("%s: the model does not choose one class for each image (%s), so there is no accuracy",
		path, what),
		"predict says what it answers; train with model.path makes a classifier of one class for each image")
}
