package train

import (
	"fmt"
	"maps"
	"sort"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/lora"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// checkpoint collects the run's state after a step.
func (r *run) checkpoint() (*checkpoint.Checkpoint, error) {
	t := r.t
	if err := t.X.settle(); err != nil {
		return nil, err
	}
	if err := t.X.syncAnswers(); err != nil {
		return nil, err
	}
	alloc, err := t.X.Sharer.State()
	if err != nil {
		return nil, err
	}
	s := r.state
	s.Ledger, s.Estimator, s.Allocator, s.Factor = t.Ledger, t.X.Estimator.State(), alloc, t.Factor
	if s.Metrics, err = r.metrics.Sync(); err != nil {
		return nil, err
	}
	if s.Journal, err = r.t.ahead.sync(); err != nil {
		return nil, err
	}
	if s.Summary, err = r.summary.Sync(); err != nil {
		return nil, err
	}
	if s.Clock, err = r.clock.Sync(); err != nil {
		return nil, err
	}
	s.Seconds = r.clock.Seconds()
	c := &checkpoint.Checkpoint{Step: t.Step, Model: t.X.Saved(), State: s}
	kept := t.X.Optimizer.State()
	if a := t.X.average; a != nil {
		maps.Copy(kept, a.State())
	}
	maps.Copy(kept, t.X.learnedTensors())
	maps.Copy(kept, t.X.adapterTensors())
	for name, v := range kept {
		c.Optimizer = append(c.Optimizer, safetensors.Tensor{Name: name, Shape: []int{len(v)}, Data: v})
	}
	sort.Slice(c.Optimizer, func(i, j int) bool { return c.Optimizer[i].Name < c.Optimizer[j].Name })
	return c, nil
}

// Saved is what a checkpoint holds of the model: all of a network of ours, what
// was learned in front of and behind one that can only be called.
func (x *Experiment) Saved() *hf.Model {
	if x.words != nil {
		return x.whole(network.SavedWords(x.Local, x.words, x.TrainData.Classes()))
	}
	if x.Local != nil {
		return x.whole(x.Local.Model())
	}
	r := x.remote
	return x.whole(network.SavedPrompt(x.overlay(), r.frame, r.model.Mapping(), x.TrainData.Classes(),
		r.transform))
}

// restore puts a checkpoint back into the experiment.
func (r *run) restore(c *checkpoint.Checkpoint) error {
	s, err := runs.StateOf(c)
	if err != nil {
		return err
	}
	t := r.t
	if err := t.load(c); err != nil {
		return err
	}
	if err := t.X.Estimator.Restore(s.Estimator); err != nil {
		return err
	}
	if err := t.X.Sharer.Restore(s.Allocator); err != nil {
		return err
	}
	t.Ledger, t.Factor = s.Ledger, s.Factor
	r.state = *s
	var evaluated []string
	if s.LastEval != nil {
		evaluated = append(evaluated, data.Test)
	}
	if s.LastValidation != nil {
		evaluated = append(evaluated, data.Validation)
	}
	t.X.Cache.goOn(t.Step, evaluated...)
	return nil
}

// load puts a checkpoint's weights and optimizer into the experiment.
func (t *Trainer) load(c *checkpoint.Checkpoint) error {
	if err := t.weights(c); err != nil {
		return err
	}
	opt, own := map[string][]float32{}, map[string][]float32{}
	for _, v := range c.Optimizer {
		if name, ok := strings.CutPrefix(v.Name, surrogateTensors); ok {
			own[name] = v.Data
			continue
		}
		opt[v.Name] = v.Data
	}
	if p := lr.Predictor(t.X.Estimator); p != nil {
		if err := p.Restore(own); err != nil {
			return err
		}
	}
	if a := t.X.average; a != nil {
		if err := a.Restore(opt); err != nil {
			return err
		}
		t.reload()
	}
	for name := range opt {
		if strings.HasPrefix(name, lora.Prefix) {
			delete(opt, name)
		}
	}
	if err := t.X.Optimizer.Restore(opt); err != nil {
		return err
	}
	t.Step = c.Step
	return nil
}

// surrogateTensors begins the names of what a surrogate learned, beside the
// optimizer's tensors.
const surrogateTensors = "surrogate."

// learnedTensors is what the estimator's surrogate learned, under those names.
func (x *Experiment) learnedTensors() map[string][]float32 {
	p := lr.Predictor(x.Estimator)
	if p == nil {
		return nil
	}
	out := map[string][]float32{}
	for name, v := range p.State() {
		out[surrogateTensors+name] = v
	}
	return out
}

// weights puts a checkpoint's weights into the model, and what they were made of into
// its adapters.
func (t *Trainer) weights(c *checkpoint.Checkpoint) error {
	for _, p := range t.X.Model.Params() {
		v, ok := c.Model.Tensor(p.Name)
		if !ok || len(v.Data) != len(p.Data) {
			return uierr.New(fmt.Sprintf("the checkpoint of step %d has no tensor %s of %d values", c.Step, p.Name, len(p.Data)),
				"go on with the config and the version of flops that began the run, or begin another run")
		}
		copy(p.Data, v.Data)
	}
	kept := map[string][]float32{}
	for _, v := range c.Optimizer {
		if strings.HasPrefix(v.Name, lora.Prefix) {
			kept[v.Name] = v.Data
		}
	}
	if err := t.X.adapters.Restore(kept); err != nil {
		return err
	}
	t.reload()
	return nil
}

// reload tells the model that weights were written behind its back.
func (t *Trainer) reload() {
	t.X.adapters.Merge()
	if m, ok := forward.As[interface{ Reload() }](t.X.Model); ok {
		m.Reload()
	}
	t.X.reviseCache()
}
