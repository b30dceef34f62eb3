package network

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/texts"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// Words says whether a config learns a context before the names of classes.
func Words(c config.Prompt) bool { return c.Kind == "context" || c.Kind == "text-subspace" }

// LearnWords puts the context that a config describes before the names of classes.
// images is the frozen network of l, and is closed with the model.
func LearnWords(c config.Config, l *Local, images query.Model, classes []string, loss objective.Objective,
	src noise.Source, threads int, warn func(string)) (*texts.Model, error) {
	p := c.Prompt
	start := texts.Start{Words: p.Words, Count: p.Count, Seed: uint64(c.Train.Seed)}
	shape := texts.Plain(start)
	if p.Kind == "text-subspace" {
		shape = texts.Subspace(start, p.Rank, p.Dim)
	}
	m, err := texts.Learn(images, c.Model.Path, texts.Words(classes), shape, texts.Options{Loss: loss, Noise: src,
		Exact: p.Exact, PerClass: p.PerClass, Count: p.Count, Threads: threads, Keep: true}, warn)
	if err != nil {
		return nil, err
	}
	t := &Trained{Local: l}
	return m, t.Embeds(c.Model.Path, m.Tower())
}

// SavedWords is the frozen network with what was learned before the names of classes.
func SavedWords(l *Local, m *texts.Model, classes []string) *hf.Model {
	out := l.Model()
	out.Extra = slices.DeleteFunc(out.Extra, func(t safetensors.Tensor) bool { return texts.Learned(t.Name) })
	for _, p := range m.Params() {
		out.Extra = append(out.Extra, safetensors.Tensor{Name: p.Name, Shape: p.Shape, Data: p.Data})
	}
	list, _ := json.Marshal(classes) // of names it cannot fail
	out.Metadata[metaClasses] = string(list)
	return out
}

// behindWords opens what a run has learned before the names of classes: its model's
// text tower is that of the run's config, which stands around the checkpoint.
func (t *Trained) behindWords(path string, c config.Config, warn func(string)) error {
	around := ConfigAround(path)
	if _, err := os.Stat(around); err != nil && !Words(c.Prompt) {
		return uierr.Wrap(err, path+": holds a learned context without its run folder, and its text tower is not known",
			"give 'eval' --config FILE and --checkpoint, or a checkpoint in its run folder")
	}
	of := c
	if !Words(c.Prompt) {
		r, err := config.Load(around, nil)
		if err != nil {
			return err
		}
		of = r.Config
	} else if r, err := config.Load(around, nil); err == nil {
		of.Model.Path = r.Config.Model.Path // c's is the checkpoint
	}
	var classes []string
	if err := json.Unmarshal([]byte(t.Local.Metadata[metaClasses]), &classes); err != nil || len(classes) == 0 {
		return uierr.Wrap(err, path+": a learned context without the names of its classes", "take another checkpoint")
	}
	m, err := LearnWords(of, t.Local, t.Model, classes, objective.CE{}, nil, c.Train.Threads, warn)
	if err != nil {
		return err
	}
	if err := begin(m.Params(), t.Local.Words); err != nil {
		return uierr.Wrap(err, path+": "+err.Error(), "restore the config.yaml that the run began with")
	}
	m.Touch()
	t.Model, t.Labels, t.sigmoid, t.words = m, classes, m.Tower().Sigmoid, true
	return nil
}

// begin gives what is learned before the names of classes a checkpoint's values. Older
// ones have the contexts of all classes in one tensor.
func begin(params []*forward.Param, from []safetensors.Tensor) error {
	if len(from) == 1 && len(params) > 1 {
		left := from[0].Data
		for _, p := range params {
			n := min(len(p.Data), len(left))
			from = append(from, safetensors.Tensor{Name: p.Name, Data: left[:n]})
			left = left[n:]
		}
		if len(left) == 0 {
			from = from[1:]
		}
	}
	if len(from) != len(params) {
		return fmt.Errorf("has %d tensors of a context, and its run's config describes %d", len(from), len(params))
	}
	for _, p := range params {
		i := slices.IndexFunc(from, func(t safetensors.Tensor) bool { return t.Name == p.Name })
		if i < 0 || len(from[i].Data) != len(p.Data) {
			return fmt.Errorf("has %s of %d values, and its run's config describes %s of %d", from[max(0, i)].Name,
				len(from[max(0, i)].Data), p.Name, len(p.Data))
		}
		copy(p.Data, from[i].Data)
	}
	return nil
}

// wordsOf are the tensors of the learned context of a checkpoint.
func wordsOf(m *hf.Model) []safetensors.Tensor {
	var out []safetensors.Tensor
	for _, t := range slices.Concat(m.Tensors, m.Extra) {
		if texts.Learned(t.Name) {
			out = append(out, t)
		}
	}
	return out
}
