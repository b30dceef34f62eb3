package runs

import (
	"cmp"
	"encoding/json"
	"math"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/metric"
)

// Eval is how a model does on a dataset.
type Eval struct {
	Goal      string        // the metric that training is to raise: Score
	Values    metric.Values // what every model of the kind is measured by
	Chosen    metric.Values // what train.metrics or --metrics names besides
	Images    int
	PerSecond float64 // 0 in what is written, which must not depend on the clock
}

// Score is what training is to raise: accuracy, zero-shot accuracy of a network
// that was aligned with a text per class, recall@1 of the images' texts where it
// was one per image.
func (e *Eval) Score() float64 { return e.first(e.Goal) }

// Loss is the mean loss of an image.
func (e *Eval) Loss() float64 { return e.first(metric.Loss) }

// first is the first number of a metric, 0 where it was not measured.
func (e *Eval) first(name string) float64 {
	if v := e.Values.Of(name).Numbers; len(v) > 0 {
		return v[0]
	}
	return 0
}

// Better is the one with the better number of a metric, the first of equals; either
// may be nil. Without a metric it is the score that counts; of several numbers it is
// the first.
func Better(a, b *Eval, by string) *Eval {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	if by == "" {
		by = b.Goal
	}
	if metric.Named(by).Better.Beats(b.Number(by), a.Number(by)) {
		return b
	}
	return a
}

// Number is the first number of a metric, NaN where it was not measured.
func (e *Eval) Number(name string) float64 {
	if v := e.All().Of(name).Numbers; len(v) > 0 {
		return v[0]
	}
	return math.NaN()
}

// All lists every number that was measured, each once: those of Values, then those
// of Chosen.
func (e *Eval) All() metric.Values {
	out := append(metric.Values{}, e.Values...)
	for _, v := range e.Chosen {
		if len(out.Of(v.Name).Numbers) == 0 {
			out = append(out, v)
		}
	}
	return out
}

// More are the chosen numbers as a line of text goes on with them.
func (e *Eval) More() string {
	out := ""
	for _, o := range e.Chosen.Ones() {
		out += ", " + o.Title + " " + o.Text()
	}
	return out
}

// BestOnTest is the name of the measure of the best checkpoint
// on the test split.
const BestOnTest = "best"

// Measure is what Score is, in words. split is data.Validation, data.Test or
// BestOnTest.
func (e *Eval) Measure(split string) string {
	name := "test accuracy"
	switch {
	case e.accuracy() && split == data.Validation:
		return "validation accuracy"
	case e.Goal == metric.ImageToText:
		name = "recall@1"
	case e.Goal == metric.ZeroShot:
		name = "zero-shot top-1"
	}
	switch split {
	case data.Validation:
		return "validation " + name
	case BestOnTest:
		return name + " of the best checkpoint"
	}
	return name
}

func (e *Eval) accuracy() bool { return e.Goal != metric.ImageToText && e.Goal != metric.ZeroShot }

// evalFile is an Eval in a file. Its names are those of the first version of the
// format; what was chosen stands under metrics, under the names of the registry.
type evalFile struct {
	Top1      float64        `json:"top1"`           // the score
	Top5      *float64       `json:"top5,omitempty"` // where there are more than five classes
	Loss      float64        `json:"loss"`
	Images    int            `json:"images"`
	PerSecond float64        `json:"images_per_s,omitempty"`
	Retrieval *retrievalFile `json:"retrieval,omitempty"` // of a network that is aligned with texts
	Metrics   metric.Values  `json:"metrics,omitempty"`
}

type retrievalFile struct {
	Pairing     string    `json:"pairing"`
	ZeroShot    float64   `json:"zero_shot_top1"`
	ImageToText []float64 `json:"image_to_text"`
	TextToImage []float64 `json:"text_to_image"`
}

func (e *Eval) file() evalFile {
	f := evalFile{Top1: e.Score(), Loss: e.Loss(), Images: e.Images, PerSecond: e.PerSecond, Metrics: e.Chosen}
	if v := e.Values.Of("top5").Numbers; len(v) > 0 {
		f.Top5 = &v[0]
	}
	if !e.accuracy() {
		f.Retrieval = &retrievalFile{"class", e.first(metric.ZeroShot), e.Values.Of(metric.ImageToText).Numbers,
			e.Values.Of(metric.TextToImage).Numbers}
		if e.Goal == metric.ImageToText {
			f.Retrieval.Pairing = "image"
		}
	}
	return f
}

func (f *evalFile) eval() Eval {
	e := Eval{Goal: metric.Top1, Chosen: f.Metrics, Images: f.Images, PerSecond: f.PerSecond}
	one := func(name string, v ...float64) { e.Values = append(e.Values, metric.Value{Name: name, Numbers: v}) }
	r := f.Retrieval
	switch {
	case r == nil:
		one(metric.Top1, f.Top1)
	case r.Pairing == "image":
		e.Goal = metric.ImageToText
	default:
		e.Goal = metric.ZeroShot
	}
	if r != nil {
		one(metric.ZeroShot, r.ZeroShot)
	}
	if f.Top5 != nil {
		one("top5", *f.Top5)
	}
	one(metric.Loss, f.Loss)
	if r != nil {
		one(metric.ImageToText, r.ImageToText...)
		one(metric.TextToImage, r.TextToImage...)
	}
	return e
}

// MarshalJSON writes an Eval as files and --json have it.
func (e Eval) MarshalJSON() ([]byte, error) { return json.Marshal(e.file()) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Eval) UnmarshalJSON(raw []byte) error {
	var f evalFile
	err := json.Unmarshal(raw, &f)
	*e = f.eval()
	return err
}

// Measured is an Eval of a command, which says the precision of the network's matrix
// products where it is not the usual one.
type Measured struct {
	Eval
	Precision string
}

type measuredFile struct {
	evalFile
	Precision string `json:"precision,omitempty"`
}

// MarshalJSON writes an Eval with its precision.
func (m Measured) MarshalJSON() ([]byte, error) {
	return json.Marshal(measuredFile{m.file(), m.Precision})
}

// BestEval is what the best checkpoint measures on the test split.
type BestEval struct {
	Step int // of the checkpoint
	Eval
}

type bestFile struct {
	Step int `json:"step"`
	evalFile
}

// MarshalJSON writes an Eval with its step.
func (b BestEval) MarshalJSON() ([]byte, error) { return json.Marshal(bestFile{b.Step, b.file()}) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (b *BestEval) UnmarshalJSON(raw []byte) error {
	var f bestFile
	err := json.Unmarshal(raw, &f)
	*b = BestEval{f.Step, f.eval()}
	return err
}
