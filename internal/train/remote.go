package train

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/prompt"
	"github.com/flops-vit/flops/internal/remote"
	"github.com/flops-vit/flops/internal/runs"
)

// callable is a model that can only be called, with what is needed to put its
// answers into a run folder once there is one.
type callable struct {
	caller    remote.Caller
	policy    remote.Policy
	transform *data.Transform
	frame     prompt.Overlay
	model     *remote.Model
	answers   *remote.AnswerFile // nil outside a run folder
}

// openRemote opens a model that can only be called behind a frame that starts
// as nothing.
func (x *Experiment) openRemote() (err error) {
	c := x.Config
	if err := network.ServedElsewhere(c, "model.kind "+c.Model.Kind); err != nil {
		return err
	}
	r := &callable{}
	if r.caller, r.policy, err = network.Dial(context.Background(), c, x.Warn); err != nil {
		return err
	}
	s := r.caller.Spec()
	if r.transform, err = network.CalledTransform(s, c.Data); err != nil {
		r.caller.Close()
		return err
	}
	if s.Preprocessing == nil && len(c.Data.Mean) == 0 && len(c.Data.Std) == 0 && x.Warn != nil {
		x.Warn(fmt.Sprintf("model %s does not say how its pixels are normalised: taken as (level/255 - 0.5)/0.5; data.mean and data.std say otherwise", s.Name))
	}
	if r.frame, err = prompt.NewOverlay(x.overlay(), s.Channels, s.Height, s.Width); err == nil {
		x.loss, err = x.openLoss()
	}
	if err == nil {
		x.remote = r
		err = x.callThrough()
	}
	if err != nil {
		r.caller.Close()
		return err
	}
	x.Config.Sites = config.Sites{Blocks: "none", Train: parts.All} // nothing inside the model can be reached
	return nil
}

// Called is the model that can only be called, nil where it is a network of ours.
func (x *Experiment) Called() *remote.Model {
	if x.remote == nil {
		return nil
	}
	return x.remote.model
}

// overlay is what a config learns over the images.
func (x *Experiment) overlay() prompt.Kind {
	p := x.Config.Prompt
	return prompt.Kind{Mode: p.Mode, Width: p.Width, Count: p.Count}
}

// callThrough makes the model of what is called.
func (x *Experiment) callThrough() error {
	r, c := x.remote, x.Config
	pool, err := remote.NewPool(r.caller, r.policy, remote.NewMeter(c.Budget.MaxQueries, remote.Counts{}), nil)
	if err != nil {
		return err
	}
	to, err := x.mapping()
	if err != nil {
		return err
	}
	src, err := x.noiseSource()
	if err != nil {
		return err
	}
	if r.model, err = remote.NewModel(pool, r.frame, to, x.loss, src); err != nil {
		return err
	}
	if c.Prompt.Exact {
		r.model.Exactly()
	}
	x.Model = r.model
	return nil
}

// mapping is from the model's classes to the task's, before anything is learned of it.
func (x *Experiment) mapping() (prompt.Mapping, error) {
	s, task := x.remote.caller.Spec(), len(x.TrainData.Classes())
	switch m := x.Config.Prompt.Mapping; m.Kind {
	case "given":
		return prompt.Given(m.Given, task, s.Classes)
	case "linear": // what is learned is learned in the run folder
		return prompt.NewLinear(s.Classes, task), nil
	}
	return x.sameNames(s)
}

// attach keeps the answers of a model that can only be called in a run folder,
// so that a resumed run asks nothing again, and learns the mapping. The answers
// count as spent, unless one only looks on: then no others are kept.
func (x *Experiment) attach(ctx context.Context, disk fsys.FS, dir string, lookOn bool) (err error) {
	if x.words != nil {
		return x.look(ctx)
	}
	if x.remote == nil {
		return nil
	}
	open := remote.OpenAnswers
	if lookOn {
		open = remote.ReadAnswers
	}
	if x.remote.answers, err = open(disk, filepath.Join(dir, "answers.bin"), x.warn); err != nil {
		return err
	}
	var spent remote.Counts
	if !lookOn {
		spent.Images = int64(x.remote.answers.Len()) + x.remote.answers.Lost()
	}
	x.remote.model.Pool().Keep(x.remote.answers, spent)
	learn := prompt.Learners[x.Config.Prompt.Mapping.Kind]
	if learn == nil {
		return nil
	}
	b, err := x.mappingImages()
	if err != nil {
		return err
	}
	return x.remote.model.LearnMapping(ctx, b, len(x.TrainData.Classes()), learn)
}

// mappingImages are the first prompt.mapping.images of each class, as the
// evaluation sees them.
func (x *Experiment) mappingImages() (*forward.Batch, error) {
	t, have := x.remote.transform, make([]int, len(x.TrainData.Classes()))
	b := &forward.Batch{}
	size := t.Channels * t.Size * t.Columns()
	for i := range x.TrainData.Len() {
		l := x.TrainData.Info(i).Label
		if have[l] == x.Config.Prompt.Mapping.Images {
			continue
		}
		im, err := x.TrainData.Image(i)
		if err == nil {
			im, err = t.Fit(im, x.TrainData.Info(i).Path)
		}
		if err != nil {
			return nil, err
		}
		have[l]++
		b.Inputs = append(b.Inputs, make([]float32, size)...)
		t.Write(b.Inputs[b.Size*size:], im, nil)
		b.Labels, b.Index, b.Size = append(b.Labels, int32(l)), append(b.Index, int32(i)), b.Size+1
	}
	return b, nil
}

// syncAnswers puts every answer on the disk, before a checkpoint counts them.
func (x *Experiment) syncAnswers() error {
	if x.remote == nil || x.remote.answers == nil {
		return nil
	}
	return x.remote.answers.Sync()
}

// closeAnswers ends the file of answers.
func (x *Experiment) closeAnswers() error {
	if x.remote == nil || x.remote.answers == nil {
		return nil
	}
	err := x.remote.answers.Close()
	x.remote.answers = nil
	return err
}

// chargeLost puts answers into the ledger that were paid for and are lost to a
// crash or a damage; charged are those that it holds already.
func (x *Experiment) chargeLost(l *runs.Ledger, charged int64) int64 {
	if x.remote == nil {
		return charged
	}
	lost := x.remote.answers.Lost()
	if n := min(lost-charged, x.remote.model.Pool().Counts().Images-l.Total().Queries); n > 0 {
		l.Spend(runs.Perturbed, n, 0, time.Now())
	}
	return lost
}

// owe tells a resumed run's model how far its ledger is behind its answers.
func (x *Experiment) owe(l *runs.Ledger) {
	if x.remote != nil {
		x.remote.model.Pool().Meter().Owe(l.Total().Queries)
	}
	if x.words != nil {
		x.oweWords(l)
	}
}
