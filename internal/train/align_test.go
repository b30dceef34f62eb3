package train

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/embed"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/uierr"
)

// textRows writes the embeddings that a contrastive experiment on shapes needs,
// less the first without ids, and names the file in its config.
func textRows(t *testing.T, c *config.Config, pairing string, without int) {
	t.Helper()
	train, err := data.Open(c.Data, data.Train)
	if err != nil {
		t.Fatal(err)
	}
	defer train.Close()
	test, err := data.Open(c.Data, data.Test)
	if err != nil {
		t.Fatal(err)
	}
	defer test.Close()
	var s *embed.Set
	if pairing == "image" {
		s, err = embed.Captions(train, test)
	} else {
		s, err = embed.OfClasses(train.Classes(), 8, 3)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.IDs, s.Data = s.IDs[without:], s.Data[without*s.Width:]
	path := filepath.Join(t.TempDir(), "texts.safetensors")
	c.Objective.Kind = "contrastive"
	c.Objective.Own = objective.Embeddings.With(objective.Pairing.With(c.Objective.Own, pairing), path)
	if err := embed.Write(objective.Embeddings.Of(c.Objective.Own), s); err != nil {
		t.Fatal(err)
	}
}

// aligned are the contrastive experiments that must survive: both pairings,
// every estimator, allocators that read each signal, temperature fixed and learned.
func aligned(t *testing.T) map[string]config.Config {
	out := map[string]config.Config{}
	for i, estimator := range []string{"activation", "joint", "weight", "bp"} {
		for j, pairing := range []string{"class", "image"} {
			c := short()
			c.Estimator.Own = lr.LearnSigma.With(c.Estimator.Own, false)
			if c.Estimator.Name = estimator; estimator == "joint" {
				c.Estimator.Name, c.Estimator.Schedule = "activation", "joint"
			}
			c.Allocator.Name = []string{"uniform", "gaussian", "gaussian_released", "bernoulli", "neyman"}[(3*i+j)%5]
			c.Objective.Own = objective.LearnTemperature.With(c.Objective.Own, (i+j)%2 == 0)
			textRows(t, &c, pairing, 0)
			out[estimator+"/"+pairing+"/"+c.Allocator.Name] = c
		}
	}
	return out
}

// TestAlignedSurvives stops contrastive runs after every step, resumes them and
// wants what an uninterrupted run leaves, bit for bit; so does a replay.
func TestAlignedSurvives(t *testing.T) {
	for name, c := range aligned(t) {
		t.Run(name, func(t *testing.T) {
			want, dir := whole(t, c), t.TempDir()
			for range c.Train.Steps {
				asked := 0
				if _, err := Run(context.Background(), open(t, c), RunOptions{Dir: dir, Resume: true, Watch: &quiet{},
					Stop: func() bool { asked++; return asked > 1 }}); err != nil {
					t.Fatal(err)
				}
			}
			same(t, dir, want, c.Train.Steps)
			x := open(t, c)
			if _, err := Replay(context.Background(), x, want, c.Train.Steps); err != nil {
				t.Fatal(err)
			}
			ran := open(t, c)
			if _, err := Run(context.Background(), ran, RunOptions{Dir: want, Resume: true, Watch: &quiet{}}); err != nil {
				t.Fatal(err)
			}
			for i, p := range x.Model.Params() {
				if !slices.Equal(p.Data, ran.Model.Params()[i].Data) {
					t.Errorf("replay: %s differs from the run's", p.Name)
				}
			}
			moved := x.align.loss.Temperature.Data[0] != open(t, c).align.loss.Temperature.Data[0]
			if learn := objective.LearnTemperature.Of(c.Objective.Own); moved != learn {
				t.Errorf("learn_temperature %v, and the temperature moved: %v", learn, moved)
			}
		})
	}
}

// TestAlignedLearns: both pairings lift their measure well above chance on
// shapes, by forward passes alone; the network is small and the run short, so
// the bound is far below what the shipped configs reach.
func TestAlignedLearns(t *testing.T) {
	c := tiny()
	c.Estimator.Own = lr.LearnSigma.With(c.Estimator.Own, false)
	c.Data = config.Data{Kind: "shapes", Train: "train", Test: "test", OnBad: "refuse", Count: 512, TestCount: 60, Size: 8,
		Classes: []string{"disc", "cross"}, Workers: 1}
	c.Train.Steps, c.Train.BatchSize, c.Train.EvalEvery, c.Checkpoint.Every, c.Optimizer.LR = 150, 16, 0, 0, 1e-2
	textRows(t, &c, "image", 0)
	x := open(t, c)
	out, err := Run(context.Background(), x, RunOptions{Dir: t.TempDir(), Watch: &quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	found, back := out.Eval.Values.Of(metric.ImageToText).Numbers, out.Eval.Values.Of(metric.TextToImage).Numbers
	if len(found) != 3 || len(back) != 3 || out.Eval.Score() != found[0] || out.Eval.Measure("test") != "recall@1" {
		t.Fatalf("%+v", out.Eval)
	}
	// 60 images have at least 50 distinct captions: chance is 0.1 at 5.
	if found[1] < 0.5 || back[1] < 0.5 {
		t.Errorf("recall at 5 %.3f and %.3f, chance 0.1", found[1], back[1])
	}
}

// TestAlignedMistakes: embeddings that do not fit the data or one another are
// refused with the key that names them, before a query.
func TestAlignedMistakes(t *testing.T) {
	refuse := func(c config.Config, want ...string) {
		t.Helper()
		x, err := Open(c, nil)
		if err == nil {
			x.Close()
			t.Errorf("taken; want %q", want)
			return
		}
		e, ok := uierr.As(err)
		if !ok {
			t.Errorf("%v is not for the user", err)
			return
		}
		for _, w := range want {
			if !strings.Contains(e.What, w) {
				t.Errorf("%q does not say %q", e.What, w)
			}
		}
	}
	c := short()
	textRows(t, &c, "image", 7)
	refuse(c, "objective.embeddings: ", `7 of 16 ids have no embedding: "train/000000", "train/000001"`, "and 2 more")
	textRows(t, &c, "class", 2)
	refuse(c, "objective.embeddings: ", `2 of 4 ids have no embedding`)
	textRows(t, &c, "image", 0)
	test := filepath.Join(t.TempDir(), "e.npy")
	c.Objective.Own = objective.TestEmbeddings.With(c.Objective.Own, test)
	refuse(c, "objective.test_embeddings: ", "no such file")
	if err := embed.Write(test, &embed.Set{IDs: []string{"test/000000"}, Width: 3, Data: []float32{1, 2, 3}}); err != nil {
		t.Fatal(err)
	}
	refuse(c, "objective.test_embeddings: ", "width 3", "objective.embeddings have 20")
	c.Objective.Own = objective.TestEmbeddings.With(objective.Embeddings.With(c.Objective.Own, "texts.txt"), "")
	refuse(c, "objective.embeddings: ", `not read from ".txt" files`)
}

// TestAlignedOtherTexts: a run is not resumed with other embeddings.
func TestAlignedOtherTexts(t *testing.T) {
	c := short()
	textRows(t, &c, "class", 0)
	dir := whole(t, c)
	s, err := embed.OfClasses([]string{"disc", "cross", "rows", "columns"}, 8, 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := embed.Write(objective.Embeddings.Of(c.Objective.Own), s); err != nil {
		t.Fatal(err)
	}
	_, err = Run(context.Background(), open(t, c), RunOptions{Dir: dir, Resume: true, Watch: &quiet{}})
	if err == nil || !strings.Contains(err.Error(), "another experiment") {
		t.Errorf("error %v", err)
	}
}

// TestAlignedEval: what an evaluation says is what the definitions give for the
// network's outputs.
func TestAlignedEval(t *testing.T) {
	for _, pairing := range []string{"class", "image"} {
		c := short()
		textRows(t, &c, pairing, 0)
		x := open(t, c)
		e, err := NewTrainer(x).Evaluate(context.Background(), x.Test)
		if err != nil {
			t.Fatal(err)
		}
		var all metric.Batch
		for b, err := range x.Test.Loader.Sequential(5) {
			if err != nil {
				t.Fatal(err)
			}
			clean, err := x.Model.Evaluate(context.Background(), b)
			if err != nil {
				t.Fatal(err)
			}
			all.Size, all.Labels = all.Size+b.Size, append(all.Labels, b.Labels...)
			all.Outputs = append(all.Outputs, clean.Logits...)
		}
		set, err := embed.Read(objective.Embeddings.Of(c.Objective.Own))
		if err != nil {
			t.Fatal(err)
		}
		all.Losses = make([]float32, all.Size)
		task, goal := metric.Task{Outputs: set.Width, Aligned: true, Classes: set.Data}, metric.ZeroShot
		if pairing == "image" {
			goal, all.Texts = metric.ImageToText, set.Data[c.Data.Count*set.Width:]
		} else {
			for _, l := range all.Labels {
				all.Texts = append(all.Texts, set.Data[int(l)*set.Width:int(l+1)*set.Width]...)
			}
		}
		m, err := metric.NewSet(task, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Add(&all); err != nil {
			t.Fatal(err)
		}
		values, _, err := m.Values()
		if want := values.Of(goal).Numbers[0]; err != nil || e.Score() != want || e.Images != c.Data.TestCount {
			t.Errorf("%s: %+v, want %v, %v", pairing, e, want, err)
		}
	}
}

// TestAlignedHardest: the losses of a measured split are against its own texts,
// also where it has more images than there are training texts.
func TestAlignedHardest(t *testing.T) {
	for _, pairing := range []string{"class", "image"} {
		c := short()
		c.Data.TestCount = c.Data.Count + 5
		textRows(t, &c, pairing, 0)
		dir := whole(t, c)
		x := open(t, c)
		hard, err := Hardest(context.Background(), x, dir, 1000, 1000)
		if err != nil {
			t.Fatalf("%s: %v", pairing, err)
		}
		e, err := NewTrainer(x).Evaluate(context.Background(), x.Test)
		if err != nil {
			t.Fatal(err)
		}
		var sum float64
		for _, h := range hard {
			sum += h.Loss
		}
		if pairing == "class" && math.Abs(sum/float64(len(hard))-e.Loss()) > 1e-6 || len(hard) != c.Data.TestCount {
			t.Errorf("%s: %d images of mean loss %v, the evaluation has %+v", pairing, len(hard), sum/float64(len(hard)), e)
		}
	}
}
