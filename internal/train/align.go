package train

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/embed"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/uierr"
)

// Alignment is the text side of the contrastive objective: the embeddings that
// a network's outputs are to point at. With pairing "class" there is one per
// class, under the class's name; with pairing "image" one per image, under
// data.Info.ID (such as train/cat/0001.png), which names the split, so that one
// file can hold both.
type Alignment struct {
	loss    *objective.Contrastive // over the training texts; nil in an Alignment for tests alone
	test    *objective.Contrastive // over the texts of a split that is measured, at the same temperature
	byImage bool
	width   int
	texts   []float32 // of that split, one row per image or per class
	classes []float32 // one row per class: its text, or the mean direction of its images' texts
	labels  []int32   // per image of the split: its class
}

// Keys that a mistake in the embeddings is told under.
const (
	embeddingsKey     = "objective.embeddings"
	testEmbeddingsKey = "objective.test_embeddings"
)

// openAlignment reads the embeddings that a config names for the training split
// and the others. The validation images' are those of the training images' file.
func openAlignment(of config.Config, train data.Dataset, others []*Split, warn func(string)) (*Alignment, error) {
	set, c, err := textsFor(of, of.Model.Path, embeddingsKey, train.Classes(), warn)
	if err != nil {
		return nil, err
	}
	texts, err := textsOf(set, embeddingsKey, objective.Pairing.Of(c.Own), train)
	if err != nil {
		return nil, err
	}
	a := &Alignment{width: set.Width}
	if a.loss, err = contrastive(c, set.Width, texts); err != nil {
		return nil, err
	}
	for _, s := range others {
		of := c
		if s.Name == data.Validation {
			of.Own = objective.TestEmbeddings.With(of.Own, "")
		}
		if s.texts, err = newAlignment(of, set, embeddingsKey, s.Data); err != nil {
			return nil, err
		}
		s.texts.loss, s.texts.test.Temperature = a.loss, a.loss.Temperature
	}
	return a, nil
}

// OpenTestAlignment reads the embeddings of one split, for an evaluation of a
// network whose projection has their width; its loss is at the temperature that
// the network was trained to, where it was. key is what mistakes in
// the embeddings are told under.
func OpenTestAlignment(of config.Config, key string, l *network.Local, test data.Dataset,
	warn func(string)) (*Alignment, error) {
	set, c, err := textsFor(of, of.Model.Path, key, test.Classes(), warn)
	if err != nil {
		return nil, err
	}
	if err := under(key, set.CheckWidth(l.Weights.Arch.Outputs())); err != nil {
		return nil, err
	}
	a, err := newAlignment(c, set, key, test)
	if err == nil && len(l.LogScale) == 1 {
		a.test.Temperature.Data[0] = l.LogScale[0]
		a.test.Bound()
	}
	return a, err
}

// newAlignment pairs a split with its texts: those of the test file where the
// config names one, else those of set, which key names.
func newAlignment(c config.Objective, set *embed.Set, key string, test data.Dataset) (*Alignment, error) {
	a := &Alignment{byImage: objective.Pairing.Of(c.Own) == "image", width: set.Width}
	if path := objective.TestEmbeddings.Of(c.Own); a.byImage && path != "" {
		s, err := readTexts(path, testEmbeddingsKey)
		if err != nil {
			return nil, err
		}
		if s.Width != set.Width {
			return nil, uierr.New(fmt.Sprintf("%s: %s: embeddings of width %d, those of %s have %d", testEmbeddingsKey, s.Path,
				s.Width, key, set.Width),
				"make both the same width")
		}
		set, key = s, testEmbeddingsKey
	}
	var err error
	if a.texts, err = textsOf(set, key, objective.Pairing.Of(c.Own), test); err != nil {
		return nil, err
	}
	if a.test, err = contrastive(c, a.width, a.texts); err != nil {
		return nil, err
	}
	for i := range test.Len() {
		a.labels = append(a.labels, int32(test.Info(i).Label))
	}
	if a.classes = a.texts; a.byImage {
		a.classes = classMeans(a.texts, a.width, a.labels, len(test.Classes()))
	}
	return a, nil
}

func contrastive(c config.Objective, width int, texts []float32) (*objective.Contrastive, error) {
	return objective.NewContrastive(objective.Options{Texts: texts, Width: width, Own: c.Own})
}

// readTexts reads a file of embeddings; what is wrong with it is told under the
// key that names it.
func readTexts(path, key string) (*embed.Set, error) {
	s, err := embed.Read(path)
	if e, ok := uierr.As(err); ok && errors.Is(err, fs.ErrNotExist) {
		err = uierr.Wrap(err, e.What,
			"check the path; 'flops embed --texts --config FILE' makes stand-ins for a text encoder's output")
	}
	return s, under(key, err)
}

// under puts a key in front of a user's mistake.
func under(key string, err error) error {
	if e, ok := uierr.As(err); ok {
		return uierr.Wrap(err, key+": "+e.What, e.Hint)
	}
	return err
}

// textsOf is one row per class or per image of a split.
func textsOf(s *embed.Set, key, pairing string, ds data.Dataset) ([]float32, error) {
	ids := ds.Classes()
	if pairing == "image" {
		ids = make([]string, ds.Len())
		for i := range ids {
			ids[i] = ds.Info(i).ID
		}
	}
	rows, err := s.Rows(ids)
	return rows, under(key, err)
}

// classMeans is the mean of the unit texts of each class's images, which stands
// for the class in zero-shot classification.
func classMeans(texts []float32, width int, labels []int32, classes int) []float32 {
	out := make([]float32, classes*width)
	for i, l := range labels {
		t := texts[i*width : (i+1)*width]
		var sq float64
		for _, v := range t {
			sq += float64(v) * float64(v)
		}
		for j, v := range t {
			out[int(l)*width+j] += v / float32(math.Sqrt(sq))
		}
	}
	return out
}

// digest tells embeddings apart, so that a run is not resumed with others.
func (x *Experiment) digest() []byte {
	h := sha256.New()
	all := [][]float32{x.align.loss.Texts()}
	for _, s := range []*Split{x.Test, x.Validation} {
		if s != nil {
			all = append(all, s.texts.texts)
		}
	}
	for _, t := range all {
		if err := binary.Write(h, binary.LittleEndian, t); err != nil {
			panic(err) // a hash never fails
		}
	}
	return h.Sum(nil)
}

// openProjection makes the network of a contrastive run and, where its
// temperature is learned, adds that to the network's parameters.
func (x *Experiment) openProjection() (err error) {
	c := x.Config
	if x.align, err = openAlignment(c, x.TrainData, x.Splits(), x.Warn); err != nil {
		return err
	}
	if c.Model.Path != "" {
		x.Local, err = network.LoadProjection(c.Model.Path, x.align.width, x.prompts(), uint64(c.Train.Seed))
	} else {
		x.Local, err = network.NewLocal(c.Model.Arch, network.ProjectionLabels(x.align.width), x.prompts(),
			uint64(c.Train.Seed))
	}
	if err == nil && objective.LearnTemperature.Of(c.Objective.Own) {
		x.Local.Weights.Own(x.align.loss.Temperature)
	}
	return err
}

// learnedTemperature is the temperature where it is trained, else nil.
func (x *Experiment) learnedTemperature() *forward.Param {
	if x.align == nil || !objective.LearnTemperature.Of(x.Config.Objective.Own) {
		return nil
	}
	return x.align.loss.Temperature
}

// temperatureGradient adds a learned temperature to the parameters of an
// update. Its gradient is a sum over numbers that the clean pass gave
// (objective.Contrastive.LogScaleGrad), for every estimator the same, and costs
// no query.
func (x *Experiment) temperatureGradient(with []*forward.Param, c *forward.Clean) ([]*forward.Param, error) {
	t := x.learnedTemperature()
	if t == nil {
		return with, nil
	}
	g, err := c.Loss.(*objective.Contrastive).LogScaleGrad(c.Logits, c.Classes)
	t.Grad[0] = g
	return append(with, t), err
}

// surpriseOf is the norm of a contrastive loss's gradient by an image's outputs,
// which the clean pass gives for nothing; nil where it cannot be told.
func surpriseOf(c *forward.Clean) []float32 {
	n := len(c.Losses)
	slots, d := make([]int32, n), make([]float32, n*c.Classes)
	for i := range slots {
		slots[i] = int32(i)
	}
	if c.Loss.(*objective.Contrastive).Grad(d, c.Logits, n, c.Classes, slots, 1) != nil {
		return nil
	}
	out := make([]float32, n)
	for i := range out {
		var sq float64
		for _, v := range d[i*c.Classes : (i+1)*c.Classes] {
			sq += float64(v) * float64(v)
		}
		out[i] = float32(math.Sqrt(sq))
	}
	return out
}

// batchAccuracy is the share of a clean pass that is right.
func (x *Experiment) batchAccuracy(c *forward.Clean, labels []int32) (float64, error) {
	if x.align == nil {
		return accuracy(c, labels), nil
	}
	return c.Loss.(*objective.Contrastive).Right(c.Logits, c.Classes)
}
