package texts

import (
	"fmt"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// Model is a frozen CLIP or SigLIP that chooses among classes by texts that begin
// with a learned context (CoOp; Zhou et al. 2022, arXiv 2109.01134): a query moves
// the context, and costs the texts of the classes and no image, whose embeddings
// are made once. Its parameters are the context, or what the context is made of
// (Shape); where every class has a context of its own each of these is a parameter, and
// a query that moves one costs that class's text. It answers queries of kind Weights
// alone.
type Model struct {
	images  query.Model // the frozen network
	tower   *Tower
	shape   Shape
	loss    objective.Objective
	noise   noise.Source
	exact   bool
	classes int
	count   int         // vectors of a context
	each    bool        // every class has a context of its own
	rows    int         // of the contexts of all classes
	slots   int         // contexts that are asked at once
	ids     [][]float32 // per class: its text behind the context of the first slot

	params []*forward.Param // theta
	known  map[int32][]float32
	keep   bool
	texts  []float32 // embeddings of the classes at theta as it is; nil: not known
	pass   *pass
	counts Counts
	back   int64 // operations of backward passes
}

// Counts are the forwards of each tower.
type Counts struct{ Images, Texts int64 }

// Options of a Model.
type Options struct {
	Loss     objective.Objective
	Noise    noise.Source
	Exact    bool // queries are answered by forward.Tangent, of an objective that has a derivative
	PerClass bool // every class has a context of its own
	Count    int  // vectors of a context
	Threads  int
	Keep     bool // images look alike whenever they come: their embeddings are kept
}

// Shape is what a context is made of: the numbers theta that are trained.
type Shape interface {
	// Params are theta: one, or as many as there are contexts, of which each is then made
	// of one alone.
	Params() []*forward.Param
	// Make writes the contexts, rows of the tower's width, of a theta. Where each is made
	// of one alone, some of them are made of theirs.
	Make(context []float32, theta [][]float32)
	// Back adds to dtheta what the gradient by the contexts is by theta.
	Back(dtheta [][]float32, dcontext []float32, theta [][]float32)
}

var (
	_ query.TwoSided       = (*Model)(nil)
	_ query.Differentiable = (*Model)(nil)
)

// mostAtOnce is about how many texts are asked at once.
const mostAtOnce = 128

// Learn puts a learned context of a shape before the names of classes. images is the
// frozen network, whose outputs are the embeddings that are compared with texts; it
// is closed with the model.
func Learn(images query.Model, dir string, names []string, shape func(rows, width int, words func(string) ([]float32,
	error)) (Shape, error), o Options, warn func(string)) (*Model, error) {
	x, err := loadLearned(dir)
	if err != nil {
		return nil, err
	}
	m := &Model{images: images, loss: o.Loss, noise: o.Noise, exact: o.Exact, classes: len(names),
		count: o.Count, each: o.PerClass, rows: o.Count, slots: max(1, min(32, mostAtOnce/len(names))),
		known: map[int32][]float32{}, keep: o.Keep}
	if m.each {
		m.rows, m.slots = m.rows*len(names), max(len(names), mostAtOnce)
	}
	x.Arch.Learned = m.count * m.slots
	if m.tower, err = New(x, o.Threads, warn); err != nil {
		return nil, err
	}
	if m.tower.Scale == 0 {
		return nil, uierr.New(dir+": the model has no logit_scale, so images and texts have no common measure",
			"give a whole CLIP or SigLIP")
	}
	if m.shape, err = shape(m.rows, x.Arch.Hidden, m.tower.words); err != nil {
		return nil, err
	}
	m.params = m.shape.Params()
	return m, m.write(names)
}

// write makes the ids of every class: the context, and its name.
func (m *Model) write(names []string) error {
	t := m.tower
	var context []int32
	for v := range m.count {
		context = append(context, int32(-1-v))
	}
	cut := ""
	for _, n := range names {
		ids, short := t.Tokenizer.Wrap(append(slices.Clone(context), t.Tokenizer.Pieces(n+".")...), t.Arch.Context)
		if short {
			cut = n
		}
		var row []float32
		for _, id := range ids {
			row = append(row, float32(id))
		}
		m.ids = append(m.ids, row)
	}
	if cut != "" {
		return uierr.New(fmt.Sprintf("prompt.count: %d vectors and the class %q are more than the %d ids of a text", m.count,
			cut, t.Arch.Context), "set a smaller prompt.count, or shorten the name of the class")
	}
	return nil
}

// Tower is the text side.
func (m *Model) Tower() *Tower { return m.tower }

// Params is what is trained.
func (m *Model) Params() []*forward.Param { return m.params }

// Sites is empty: nothing inside the model is perturbed.
func (m *Model) Sites() []forward.Site { return nil }

// Touch forgets what the classes looked like.
func (m *Model) Touch() { m.texts = nil }

// Reload is Touch.
func (m *Model) Reload() { m.Touch() }

// ForwardFLOPs is the cost of one image's embedding.
func (m *Model) ForwardFLOPs() int64 { return m.images.ForwardFLOPs() }

// BackwardFLOPs is 0 for each image: SpentFLOPs counts that of the texts.
func (m *Model) BackwardFLOPs() int64 { return 0 }

// WeightFLOPs is 0 for each image of a query: SpentFLOPs counts the texts.
func (m *Model) WeightFLOPs() int64 { return 0 }

// Device is the images'.
func (m *Model) Device() string { return m.images.Device() }

// Close closes both towers.
func (m *Model) Close() error {
	err := m.tower.Close()
	if e := m.images.Close(); err == nil {
		err = e
	}
	return err
}

// Spent is every forward so far, of images and of texts.
func (m *Model) Spent() int64 { return m.counts.Images + m.counts.Texts }

// Apart is Spent by tower.
func (m *Model) Apart() (images, texts int64) { return m.counts.Images, m.counts.Texts }

// SpentFLOPs is what they cost.
func (m *Model) SpentFLOPs() int64 {
	return m.counts.Images*m.images.ForwardFLOPs() + m.counts.Texts*m.tower.model.ForwardFLOPs() + m.back
}

// Owe says what a run that goes on has spent before; what was asked since the model
// was opened is asked again and costs nothing anew.
func (m *Model) Owe(spent Counts, flops int64) {
	m.counts, m.back = spent, 0
	m.back = flops - m.SpentFLOPs()
}

// StepQueries is what a step costs in which every image has so many queries of each
// of its perturbations.
func (m *Model) StepQueries(plan []forward.Perturbation, queries int64) int64 {
	n := int64(m.classes)
	for _, p := range plan {
		n += queries * int64(len(m.moved(p.Params)))
	}
	return n
}
