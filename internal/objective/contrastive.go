package objective

import (
	"fmt"
	"math"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

// Settings of the contrastive objective.
var (
	Embeddings     = settings.New("embeddings", "", ".safetensors, .npy or .parquet; empty: the model's own texts")
	TestEmbeddings = settings.New("test_embeddings", "", "those of the test images where embeddings has them not")
	Pairing        = settings.New("pairing", "class",
		"class (row k belongs to class k) or image (row j to image j of the dataset)", settings.Among("class", "image"))
	Temperature = settings.New("temperature", 0.0,
		"the fixed or first temperature; 0: the model's own where its texts are used, else 0.07", settings.From(0, 100),
		settings.That(func(t float64) error {
			if t == 0 || t >= leastTemperature {
				return nil
			}
			return uierr.New(fmt.Sprintf("%v is out of range", t), "give 0, or 0.01 to 100")
		}))
	Form = settings.New("loss", "auto", "softmax (InfoNCE) or sigmoid (SigLIP: every pair for itself); "+
		"auto: the model's own where its texts are used, else softmax", settings.Among("auto", "softmax", "sigmoid"))
	Bias = settings.New("bias", 0.0, "sigmoid: is added to every similarity; 0: the model's own where its texts are used",
		settings.From(-1e3, 1e3))
	LearnTemperature = settings.New("learn_temperature", false, "train the temperature")
)

func init() {
	Register("contrastive", func(o Options) (Objective, error) { return NewContrastive(o) }).
		Takes(Embeddings, TestEmbeddings, Pairing, Temperature, LearnTemperature, Form, Bias)
}

const (
	leastTemperature = 0.01
	usualTemperature = 0.07 // of CLIP's training when it begins
)

// LogScale is the name of the temperature's parameter, in a checkpoint too.
const LogScale = "objective.log_scale"

// maxLogScale bounds the learned temperature to 0.01 and above, as CLIP does
// (Radford et al. 2021, section 2.5: logits scaled by at most 100).
var maxLogScale = math.Log(100)

// Contrastive is the symmetric InfoNCE between a model's image embeddings and
// given text embeddings (CLIP; Radford et al. 2021, arXiv 2103.00020). With
// unit vectors u_i of the images and t_k of the texts and a log scale τ,
//
//	s_ik = exp(τ)·u_i·t_k          y_i: the text of image i
//	r_i  = −s_{i,y_i} + log Σ_k exp s_ik          image → text, over the texts
//	A_k  = log Σ_l exp s_lk                       over the images of the batch
//	c_i  = −s_{i,y_i} + A_{y_i}                   text → image
//	ℓ_i  = ½ (r_i + c_i),   J = (1/B) Σ_i ℓ_i
//
// Pairing "image": the texts are those of the batch's images, y_i = i. Pairing
// "class": the texts are all classes (r_i is zero-shot classification), and
// each image counts as a positive of its class (c_i is the supervised
// contrastive loss with the mean outside the logarithm; Khosla et al. 2020).
//
// # What a query of image i changes
//
// Its own embedding only: u_i → u′. Row i, r_i, changes and no other row does.
// But s_ik stands in the denominator of every column, so every A_k with
// n_k > 0 images of the batch changes too, and with it c_l of other images. A
// loss that looked at ℓ_i alone would therefore miss ½ Σ_{l≠i} c_l and estimate
// the gradient of something that is not J. Losses includes the columns:
//
//	L_i(u′) = ½ r_i(u′) + ½ [ −s′_{i,y_i} + A_{y_i} + Σ_k n_k (A′_k − A_k) ]
//	A′_k    = log( exp A_k − exp s_ik + exp s′_ik )
//
// that is ℓ_i(u′) plus what u′ does to the other images' losses. Hence
// L_i(clean) = ℓ_i, so the mean clean loss is J; and ∂L_i/∂u_i = B·∂J/∂u_i
// exactly, so that the estimators' (1/B) Σ_i is unbiased for the gradient of J,
// for every allocation. The other images stay at the clean embeddings that
// Anchor fixed, which is exact for activation queries (one image moves at a
// time) and, for queries of the weights (all move), correct as σ → 0 by the
// chain rule. It costs one product with the texts per query and no forward.
//
// Before Anchor the loss is r_i, the image → text part, in which no image sees
// another.
//
// # SigLIP
//
// Form "sigmoid" judges every pair for itself (Zhai et al. 2023, arXiv 2303.15343):
//
//	ℓ_i = Σ_k log(1 + exp(−y_ik (s_ik + b)))      y_ik = 1 where k is image i's text, else −1
//
// Texts are the same ones; no image's loss depends on another image.
type Contrastive struct {
	// Temperature is the log scale τ = log(1/temperature), a parameter to train
	// or to leave as it is.
	Temperature *forward.Param

	texts   []float64 // unit vectors, all of them
	width   int
	count   int // texts
	byImage bool
	sigmoid bool
	bias    float64

	batch []int     // the texts of the batch, as rows of texts
	want  []int     // per image: its text, as a position in batch
	n     []float64 // per text of the batch: its images
	cols  []float64 // A_k of the anchor; nil before Anchor
	rest  []float64 // per image and text: log(exp A_k − exp s_ik)
}

var (
	_ Differentiable = (*Contrastive)(nil)
	_ Coupled        = (*Contrastive)(nil)
)

// NewContrastive checks the text embeddings and keeps them as unit vectors.
func NewContrastive(o Options) (*Contrastive, error) {
	pairing, temperature := Pairing.Of(o.Own), Temperature.Of(o.Own)
	if err := Temperature.Check("objective.temperature", temperature); err != nil {
		return nil, err
	}
	if err := Pairing.Check("objective.pairing", pairing); err != nil {
		return nil, err
	}
	if temperature == 0 {
		temperature = usualTemperature
	}
	if o.Width < 1 || len(o.Texts) == 0 || len(o.Texts)%o.Width != 0 {
		return nil, uierr.New(fmt.Sprintf("objective.embeddings: %d values are no texts of width %d", len(o.Texts), o.Width),
			"give one embedding of equal width per class or image")
	}
	c := &Contrastive{width: o.Width, count: len(o.Texts) / o.Width, byImage: pairing == "image",
		sigmoid: Form.Of(o.Own) == "sigmoid", bias: Bias.Of(o.Own), texts: make([]float64, len(o.Texts)),
		Temperature: &forward.Param{Name: LogScale, Block: -1, Shape: []int{1},
			Data: []float32{float32(-math.Log(temperature))}, Role: "temperature"}}
	for k := range c.count {
		t := o.Texts[k*o.Width : (k+1)*o.Width]
		length := Norm(t)
		if !(length > 0) || math.IsInf(length, 0) {
			return nil, uierr.New(fmt.Sprintf("objective.embeddings: text %d has length %v", k, length),
				"every embedding needs a direction; leave out or repair this one")
		}
		for j, v := range t {
			c.texts[k*o.Width+j] = float64(v) / length
		}
	}
	return c, nil
}

// Name is "contrastive".
func (c *Contrastive) Name() string { return "contrastive" }

// Texts are the unit vectors that images are compared with, one row each.
func (c *Contrastive) Texts() []float32 {
	out := make([]float32, len(c.texts))
	for i, v := range c.texts {
		out[i] = float32(v)
	}
	return out
}

// Width is the number of outputs that a model must have: the width of a text.
func (c *Contrastive) Width() int { return c.width }

// Bind is the objective of a batch, whose texts follow from labels with class
// pairing and from index with image pairing. It shares the texts and the
// temperature.
func (c *Contrastive) Bind(labels, index []int32) (Coupled, error) {
	b := *c
	if err := b.begin(labels, index); err != nil {
		return nil, err
	}
	return &b, nil
}

// begin fixes the texts of a batch.
func (c *Contrastive) begin(labels, index []int32) error {
	key := labels
	if c.byImage {
		key = index
	}
	c.cols, c.rest = nil, nil
	c.want, c.batch = make([]int, len(key)), nil
	for i, k := range key {
		if k < 0 || int(k) >= c.count {
			what := "class"
			if c.byImage {
				what = "image"
			}
			return uierr.New(fmt.Sprintf("objective.embeddings: %s %d has no text embedding among %d", what, k, c.count),
				"give one embedding for every "+what)
		}
		if c.byImage {
			c.want[i], c.batch = i, append(c.batch, int(k))
		} else {
			c.want[i] = int(k)
		}
	}
	if !c.byImage {
		for k := range c.count {
			c.batch = append(c.batch, k)
		}
	}
	c.n = make([]float64, len(c.batch))
	for _, k := range c.want {
		c.n[k]++
	}
	return nil
}

// Bound puts the log scale back between those of the temperatures 0.01 and 100,
// after an update that left it outside.
func (c *Contrastive) Bound() {
	t := c.Temperature.Data
	t[0] = float32(min(max(float64(t[0]), -maxLogScale), maxLogScale))
}

// scale is exp(τ).
func (c *Contrastive) scale() float64 {
	return math.Exp(min(float64(c.Temperature.Data[0]), maxLogScale))
}

// Norm is the Euclidean length of v.
func Norm(v []float32) float64 {
	var s float64
	for _, x := range v {
		s += float64(x) * float64(x)
	}
	return math.Sqrt(s)
}

// similarities writes s_k = scale·cos(e, t_k) for every text of the batch and
// returns the length of e.
func (c *Contrastive) similarities(s []float64, e []float32, scale float64) float64 {
	length := Norm(e)
	f := scale / max(length, tiny)
	for j, k := range c.batch {
		t := c.texts[k*c.width : (k+1)*c.width]
		var d float64
		for i, v := range e {
			d += float64(v) * t[i]
		}
		s[j] = d * f
	}
	return length
}

// tiny keeps an embedding of zero length from dividing by zero; its cosines
// are 0.
const tiny = 1e-30
