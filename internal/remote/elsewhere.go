package remote

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
)

// Name says which image is asked about, for somebody else who has the run's data and its
// prompt to make it, too: of a batch or of a split, behind the prompt as it is or under a
// direction.
type Name struct {
	Set   Set
	Image int32 // slot of the batch, or position in the split
	Pair  int32 // direction
	Sign  int8  // +1 or −1; 0: behind the prompt as it is
}

// Set is what an image is of.
type Set uint8

// The sets.
const (
	OfBatch Set = iota // of the step that is under way
	OfValidation
	OfTest
	lastSet
)

// Known says that a number names a set.
func (s Set) Known() bool { return s < lastSet }

// Elsewhere has others ask a model of theirs, which answers alike.
type Elsewhere interface {
	// Answer writes the logits of the images of a request to out: by here, where this
	// process is to ask, or from somebody else. again is how many images others were asked
	// about in vain. It is called from several goroutines.
	Answer(ctx context.Context, names []Name, here func(context.Context) error, out []float32) (again int, err error)
	// Room is how many requests all of them together have under way at once.
	Room() int
}

// Share has named images asked about by others, too. The budget, what is known already and
// what is kept of answers stay the pool's.
func (p *Pool) Share(e Elsewhere) { p.elsewhere = e }

// Shared asks about n images as Ask does; name names them.
func (p *Pool) Shared(ctx context.Context, n int, image Images, name func(i int) Name, out []float32) error {
	return p.ask(ctx, n, image, name, out)
}

// answer makes one request, here or elsewhere.
func (p *Pool) answer(ctx context.Context, r request, y []float32) error {
	if p.elsewhere == nil || r.name == nil {
		return p.request(ctx, r, y)
	}
	names := make([]Name, len(r.ids))
	for j, i := range r.ids {
		names[j] = r.name(i)
	}
	var asked bool
	again, err := p.elsewhere.Answer(ctx, names, func(ctx context.Context) error {
		asked = true
		return p.request(ctx, r, y)
	}, y)
	p.meter.retried(again)
	if asked || err != nil {
		return err
	}
	p.meter.answered(len(r.ids))
	return nil
}

// Follow has the model stand in for one that a run elsewhere asks: a clean pass asks
// nothing, and knows no losses; Named answers.
func (m *Model) Follow() { m.follows = true }

// InFlight is how many requests the model's pool has under way at once.
func (p *Pool) InFlight() int { return p.policy.InFlight }

// Named asks about named images of a batch, under the directions of a perturbation or
// behind the prompt as it is, and returns the model's own logits.
func (m *Model) Named(ctx context.Context, b *forward.Batch, p *forward.Perturbation, names []Name) ([]float32, error) {
	if err := m.checkPerturbation(p); err != nil {
		return nil, err
	}
	var prepared []float32
	var err error
	if m.pass != nil && m.pass.batch == b { // of which a step asks many times
		prepared = m.pass.prepared
	} else if prepared, err = m.prepare(nil, b); err != nil {
		return nil, err
	}
	q := make([]forward.Query, len(names))
	for j, n := range names {
		if n.Image < 0 || int(n.Image) >= b.Size || n.Pair < 0 || n.Sign < -1 || n.Sign > 1 {
			return nil, fmt.Errorf("remote: no image %+v in a batch of %d", n, b.Size)
		}
		q[j] = forward.Query{Image: n.Image, Pair: n.Pair, Sign: n.Sign}
	}
	at, s := m.directions(p, q), m.pool.Spec()
	px, out := s.Pixels(), make([]float32, len(names)*s.Classes)
	return out, m.pool.Ask(ctx, len(q), func(j int, dst []float32) {
		data := m.perturb[at[j]]
		if q[j].Sign == 0 {
			data = m.frame.Trained().Data
		}
		i := int(q[j].Image)
		m.apply(dst, prepared[i*px:(i+1)*px], data)
	}, out)
}

// names of a batch's images as they are.
func (m *Model) names(set Set, b *forward.Batch) func(i int) Name {
	return func(i int) Name {
		if set == OfBatch {
			return Name{Set: set, Image: int32(i)}
		}
		return Name{Set: set, Image: b.Index[i]}
	}
}
