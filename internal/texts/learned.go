package texts

import (
	"context"
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
// are made once. Its only parameter is the context, or what the context is made of
// (Shape). It answers queries of kind Weights alone.
type Model struct {
	images  query.Model // the frozen network
	tower   *Tower
	shape   Shape
	loss    objective.Objective
	noise   noise.Source
	exact   bool
	classes int
	rows    int // of the context of all classes
	groups  int // contexts that are asked at once
	ids     []float32

	param  *forward.Param // theta, the trained one
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
	Loss  objective.Objective
	Noise noise.Source
	// Exact answers queries by the loss's exact slope at the logits: the clean loss
	// and Σ_k ∂ℓ/∂z_k (z′_k − z_k), of an objective that has one.
	Exact    bool
	PerClass bool // every class has a context of its own
	Count    int  // vectors of a context
	Threads  int
	Keep     bool // images look alike whenever they come: their embeddings are kept
}

// Shape is what a context is made of: the numbers theta that are trained.
type Shape interface {
	// Param is theta.
	Param() *forward.Param
	// Make writes the context, rows of the tower's width, of a theta.
	Make(context, theta []float32)
	// Back adds to dtheta what the gradient by the context is by theta.
	Back(dtheta, dcontext, theta []float32)
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
		rows: o.Count, groups: max(1, min(32, mostAtOnce/len(names))), known: map[int32][]float32{}, keep: o.Keep}
	if o.PerClass {
		m.rows *= len(names)
	}
	x.Arch.Learned = m.rows * m.groups
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
	m.param = m.shape.Param()
	if _, ok := o.Loss.(objective.Differentiable); o.Exact && !ok {
		m.exact = false // what it has not cannot be used
	}
	return m, m.write(names, o)
}

// write makes the ids of every group: the context, and the name of the class.
func (m *Model) write(names []string, o Options) error {
	t := m.tower
	cut := ""
	for g := range m.groups {
		for k, n := range names {
			first := g * m.rows
			if o.PerClass {
				first += k * o.Count
			}
			var pieces []int32
			for v := range o.Count {
				pieces = append(pieces, int32(-1-first-v))
			}
			ids, short := t.Tokenizer.Wrap(append(pieces, t.Tokenizer.Pieces(n+".")...), t.Arch.Context)
			if short {
				cut = n
			}
			for _, id := range ids {
				m.ids = append(m.ids, float32(id))
			}
		}
	}
	if cut != "" {
		return uierr.New(fmt.Sprintf("prompt.count: %d vectors and the class %q are more than the %d ids of a text", o.Count,
			cut, t.Arch.Context), "set a smaller prompt.count, or shorten the name of the class")
	}
	return nil
}

// Tower is the text side.
func (m *Model) Tower() *Tower { return m.tower }

// Params is what is trained.
func (m *Model) Params() []*forward.Param { return []*forward.Param{m.param} }

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
func (m *Model) StepQueries(queries int64) int64 { return int64(m.classes) * (1 + queries) }

// Look makes the embeddings of images beforehand, which are then known.
func (m *Model) Look(ctx context.Context, b *forward.Batch) error {
	_, err := m.embed(ctx, b, true)
	return err
}

// embed are the embeddings of a batch's images, which are asked for where they are
// not known.
func (m *Model) embed(ctx context.Context, b *forward.Batch, keep bool) ([]float32, error) {
	width := m.tower.Width()
	keep = keep && m.keep && len(b.Index) == b.Size
	out := make([]float32, b.Size*width)
	ask := &forward.Batch{}
	var at []int
	px := len(b.Inputs) / max(1, b.Size)
	for i := range b.Size {
		if keep {
			if e, ok := m.known[b.Index[i]]; ok {
				copy(out[i*width:], e)
				continue
			}
		}
		at = append(at, i)
		ask.Inputs = append(ask.Inputs, b.Inputs[i*px:(i+1)*px]...)
	}
	if ask.Size = len(at); ask.Size == 0 {
		return out, nil
	}
	c, err := m.images.Evaluate(ctx, ask)
	if err != nil {
		return nil, err
	}
	m.counts.Images += int64(ask.Size)
	for k, i := range at {
		e := c.Logits[k*width : (k+1)*width]
		copy(out[i*width:], e)
		if keep {
			m.known[b.Index[i]] = slices.Clone(e)
		}
	}
	return out, nil
}

// ask are the embeddings of the classes' texts at several thetas.
func (m *Model) ask(ctx context.Context, thetas [][]float32) ([]float32, error) {
	var out []float32
	t := m.tower
	context := t.Weights.Params()[t.Weights.Index(ContextName)].Data
	for lo := 0; lo < len(thetas); lo += m.groups {
		n := min(m.groups, len(thetas)-lo)
		per := m.rows * t.Arch.Hidden
		for g, theta := range thetas[lo : lo+n] {
			m.shape.Make(context[g*per:(g+1)*per], theta)
		}
		b := &forward.Batch{Size: n * m.classes, Inputs: m.ids[:n*m.classes*t.Arch.Context]}
		c, err := t.model.Evaluate(ctx, b)
		if err != nil {
			return nil, err
		}
		m.counts.Texts += int64(b.Size)
		out = append(out, c.Logits...)
	}
	return out, nil
}

// now are the embeddings of the classes at theta as it is.
func (m *Model) now(ctx context.Context) ([]float32, error) {
	if m.texts != nil {
		return m.texts, nil
	}
	e, err := m.ask(ctx, [][]float32{m.param.Data})
	m.texts = e
	return e, err
}

// Classes is a unit row for each class at theta as it is.
func (m *Model) Classes(ctx context.Context) ([]float32, error) {
	e, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	return units(e, m.tower.Width()), nil
}

// units are rows of length one.
func units(e []float32, width int) []float32 {
	out := make([]float32, len(e))
	for lo := 0; lo < len(e); lo += width {
		length := max(objective.Norm(e[lo:lo+width]), 1e-30)
		for j, v := range e[lo : lo+width] {
			out[lo+j] = float32(float64(v) / length)
		}
	}
	return out
}

// Evaluate is what the model says of a batch that is not learned from.
func (m *Model) Evaluate(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	e, err := m.embed(ctx, b, false)
	if err != nil {
		return nil, err
	}
	t, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	return m.answer(b, e, t)
}

// answer compares embeddings of a batch with the classes.
func (m *Model) answer(b *forward.Batch, images, texts []float32) (*forward.Clean, error) {
	c := &forward.Clean{Logits: make([]float32, b.Size*m.classes), Classes: m.classes, Features: images,
		Dim: m.tower.Width()}
	m.tower.Logits(c.Logits, images, units(texts, m.tower.Width()), b.Size)
	if b.Labels == nil {
		return c, nil
	}
	c.Losses, c.Loss = make([]float32, b.Size), m.loss
	return c, m.loss.Losses(c.Losses, c.Logits, b.Size, m.classes, b.Labels[:b.Size])
}

// pass is the clean pass of a batch.
type pass struct {
	m      *Model
	batch  *forward.Batch
	images []float32 // embeddings
	clean  *forward.Clean
	slope  []float32 // of each image's loss by its logits, where the objective has one and it is used
}

// Clean is what the model answered.
func (p *pass) Clean() *forward.Clean { return p.clean }

// Clean compares the batch with the classes as they are.
func (m *Model) Clean(ctx context.Context, b *forward.Batch, sites []int) (forward.Pass, error) {
	if len(sites) > 0 {
		return nil, fmt.Errorf("texts: a model behind a learned context has no sites")
	}
	if b.Labels == nil {
		return nil, fmt.Errorf("texts: a clean pass of a batch without labels")
	}
	p := &pass{m: m, batch: b}
	var err error
	if p.images, err = m.embed(ctx, b, true); err != nil {
		return nil, err
	}
	m.texts = nil // a run that goes on from here does not know them either, and pays the same
	t, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	if p.clean, err = m.answer(b, p.images, t); err != nil {
		return nil, err
	}
	if m.exact {
		p.slope = make([]float32, b.Size*m.classes)
		d := m.loss.(objective.Differentiable)
		if err := d.Grad(p.slope, p.clean.Logits, b.Size, m.classes, b.Labels, 1); err != nil {
			return nil, err
		}
	}
	m.pass = p
	return p, nil
}

// Losses asks the texts of every direction once, whatever the number of images.
func (p *pass) Losses(ctx context.Context, per *forward.Perturbation, q []forward.Query, out []float32) error {
	m := p.m
	switch {
	case per.Kind != forward.Weights || len(per.Params) != 1 || per.Params[0] != 0 || len(per.Sigma) != 1:
		return uierr.New("estimator.name: a learned context has no sites to perturb", "use estimator.name: weight or bp")
	case m.pass != p:
		return forward.ErrStale
	}
	type group struct {
		pair int32
		sign int8
	}
	at, which := map[group]int{}, make([]int, len(q))
	var thetas [][]float32
	for j, x := range q {
		g := group{x.Pair, x.Sign}
		k, ok := at[g]
		if !ok {
			k = len(thetas)
			at[g] = k
			theta := make([]float32, len(m.param.Data))
			m.noise.AddScaled(theta, m.param.Data, float32(x.Sign)*per.Sigma[0], counter(per.Step, x.Pair), 0)
			thetas = append(thetas, theta)
		}
		which[j] = k
	}
	e, err := m.ask(ctx, thetas)
	if err != nil {
		return err
	}
	width := m.tower.Width()
	rows := units(e, width)
	size := m.classes * width
	z, label := make([]float32, m.classes), make([]int32, 1)
	for j, x := range q {
		i := int(x.Image)
		m.tower.Logits(z, p.images[i*width:(i+1)*width], rows[which[j]*size:(which[j]+1)*size], 1)
		if p.slope != nil {
			out[j] = p.along(i, z)
			continue
		}
		label[0] = p.batch.Labels[i]
		if err := m.loss.Losses(out[j:j+1], z, 1, m.classes, label); err != nil {
			return err
		}
	}
	return nil
}

// along is the clean loss of an image and what its exact slope makes of other logits.
func (p *pass) along(i int, z []float32) float32 {
	k := p.m.classes
	sum := float64(p.clean.Losses[i])
	for c, v := range z {
		sum += float64(p.slope[i*k+c]) * (float64(v) - float64(p.clean.Logits[i*k+c]))
	}
	return float32(sum)
}

// counter names the noise of theta, which is parameter 0.
func counter(step uint32, pair int32) noise.Counter {
	return noise.Counter{Step: step, Site: forward.WeightSite, Pair: uint32(pair)}
}

// Accumulate adds Σ C·z to the gradient.
func (p *pass) Accumulate(_ context.Context, per *forward.Perturbation, terms []forward.Term) error {
	m := p.m
	if m.pass != p {
		return forward.ErrStale
	}
	for _, t := range terms {
		m.noise.Axpy(m.param.Grad, t.Coef, counter(per.Step, t.Pair), 0)
	}
	return nil
}

// Backward adds the gradient of the mean loss. At the texts' embeddings it is closed,
// ∂J/∂t_k = scale/B·Σ_i (∂ℓ_i/∂z_ik)·u_i less its part along t_k, over |t_k|; before
// them it is the text tower's.
func (m *Model) Backward(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	d, ok := m.loss.(objective.Differentiable)
	if !ok {
		return nil, fmt.Errorf("texts: objective %s has no gradient", m.loss.Name())
	}
	images, err := m.embed(ctx, b, true)
	if err != nil {
		return nil, err
	}
	m.texts = nil
	t, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	c, err := m.answer(b, images, t)
	if err != nil {
		return nil, err
	}
	dz := make([]float32, b.Size*m.classes)
	if err := d.Grad(dz, c.Logits, b.Size, m.classes, b.Labels, 1/float32(b.Size)); err != nil {
		return nil, err
	}
	return c, m.throughTexts(ctx, m.textSlopes(dz, images, t, b.Size))
}

// textSlopes is ∂J/∂t_k of all classes, from that by the logits.
func (m *Model) textSlopes(dz, images, texts []float32, n int) []float32 {
	width := m.tower.Width()
	u, v := units(images, width), units(texts, width)
	out := make([]float32, len(texts))
	sum := make([]float64, width)
	for k := range m.classes {
		clear(sum)
		for i := range n {
			for j := range width {
				sum[j] += m.tower.Scale * float64(dz[i*m.classes+k]) * float64(u[i*width+j])
			}
		}
		t := v[k*width : (k+1)*width]
		var along float64
		for j, x := range t {
			along += sum[j] * float64(x)
		}
		length := max(objective.Norm(texts[k*width:(k+1)*width]), 1e-30)
		for j, x := range t {
			out[k*width+j] = float32((sum[j] - along*float64(x)) / length)
		}
	}
	return out
}

// throughTexts adds to theta's gradient what slopes at the embeddings are there.
func (m *Model) throughTexts(ctx context.Context, w []float32) error {
	t := m.tower
	p := t.Weights.Params()[t.Weights.Index(ContextName)]
	per := m.rows * t.Arch.Hidden
	m.shape.Make(p.Data[:per], m.param.Data)
	p.Grad = make([]float32, len(p.Data))
	defer func() { p.Grad = nil }()
	T, width := t.Arch.Context, t.Width()
	for lo := 0; lo < m.classes; lo += width { // a text's number is below the width of the outputs
		n := min(width, m.classes-lo)
		b := &forward.Batch{Size: n, Inputs: m.ids[lo*T : (lo+n)*T]}
		for k := range n {
			b.Labels, b.Index = append(b.Labels, int32(k)), append(b.Index, int32(k))
		}
		// The mean over the texts takes the factor back.
		t.slopes = slopes{w: scaled(w[lo*width:(lo+n)*width], float32(n)), width: width}
		if _, err := t.model.Backward(ctx, b); err != nil {
			return err
		}
		m.counts.Texts += int64(n)
		m.back += 2 * int64(n) * t.model.ForwardFLOPs()
	}
	m.shape.Back(m.param.Grad, p.Grad[:per], m.param.Data)
	return nil
}

func scaled(w []float32, f float32) []float32 {
	out := make([]float32, len(w))
	for i, v := range w {
		out[i] = f * v
	}
	return out
}

// words are the embeddings of a text's ids, before positions.
func (t *Tower) words(text string) ([]float32, error) {
	ids := t.Tokenizer.Pieces(text)
	table := t.Weights.Params()[t.Weights.Index(t.Arch.Names.Tokens)].Data
	D := t.Arch.Hidden
	var out []float32
	for _, id := range ids {
		if int(id) >= t.Arch.Vocabulary {
			return nil, fmt.Errorf("texts: id %d of %d", id, t.Arch.Vocabulary)
		}
		out = append(out, table[int(id)*D:(int(id)+1)*D]...)
	}
	return out, nil
}
