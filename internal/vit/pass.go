package vit

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
)

// pass is the clean pass of a batch, of which the backend's store holds what
// queries begin with.
type pass struct {
	m     *Model
	batch *forward.Batch
	loss  *objective.Bound
	clean *forward.Clean
	plan  *plan

	tangent *forward.Tangent // of queries of the weights; nil: of their losses
}

// Clean is what the forward answered.
func (p *pass) Clean() *forward.Clean { return p.clean }

// plan is what a clean pass keeps for queries at some sites, perturbed one by one
// or all at once, and of the weights.
type plan struct {
	sites  []int
	inputs []Activation // per site: what its gradient pairs noise with
	keep   []Activation
	direct []int // parameters that no site has
	from   int   // boundary at which queries of the weights start
	known  int   // boundary that the memory of the batch keeps, 0: none
	start  bool  // the store has to hold what is known too
	whole  Forward
}

// Clean is the forward of a batch that also keeps what queries at the given sites
// start from.
func (m *Model) Clean(ctx context.Context, b *forward.Batch, sites []int) (forward.Pass, error) {
	loss, err := m.labelled(b)
	if err != nil {
		return nil, err
	}
	known := m.known(b, sites)
	if m.plan == nil || !slices.Equal(sites, m.plan.sites) || known != m.plan.known {
		if m.plan, err = m.planOf(sites, known); err != nil {
			return nil, err
		}
	}
	m.pass = nil
	t := m.plan
	images, err := m.lay(m.room(Layout{Images: b.Size, Pass: true, Sites: t.sites, Inputs: t.inputs, Keep: t.keep,
		Forward: t.whole, Weights: t.direct}, known))
	if err != nil {
		return nil, err
	}
	c := m.net.Answer(b.Size, loss)
	if err := m.forward(ctx, b, loss, c, t.whole, known, images); err != nil {
		return nil, err
	}
	if err := loss.Anchor(c.Losses, c.Logits, c.Classes); err != nil {
		return nil, err
	}
	for _, x := range t.inputs {
		sq := make([]float32, b.Size)
		if x.Name == "" { // noise on a parameter itself, which meets no input
			for i := range sq {
				sq[i] = 1
			}
		} else if err := m.b.Norms(x, sq); err != nil {
			return nil, err
		}
		c.InputSq = append(c.InputSq, sq)
	}
	p := &pass{m: m, batch: b, loss: loss, clean: c, plan: t}
	if m.exact {
		if p.tangent, err = c.Tangent(); err != nil {
			return nil, err
		}
	}
	m.pass = p
	return p, nil
}

// planOf finds what the clean pass must keep: what any suffix of these sites
// reads, the inputs of their maps, and the boundary for queries of the weights.
func (m *Model) planOf(sites []int, known int) (*plan, error) {
	direct := m.direct(sites)
	p := &plan{sites: slices.Clone(sites), direct: direct, from: m.net.out.resume(direct), known: known}
	need := map[string]Activation{}
	var sets [][]int
	for _, s := range sites {
		x := m.net.SiteInput(s, m.mask)
		if p.inputs, sets = append(p.inputs, x), append(sets, []int{s}); x.Name != "" {
			need[x.Name] = x
		}
	}
	if len(sites) > 1 {
		sets = append(sets, sites)
	}
	for _, set := range sets {
		reads, err := m.readsOf(set)
		if err != nil {
			return nil, err
		}
		for _, a := range reads {
			need[a.Name] = a
		}
	}
	if p.from > 0 && p.from != known {
		h := m.net.out.boundaries[p.from-1]
		need[h.Name] = h
	}
	for name, a := range need {
		p.keep, p.whole.Keep = append(p.keep, a), append(p.whole.Keep, name)
	}
	slices.Sort(p.whole.Keep)
	slices.SortFunc(p.keep, func(a, b Activation) int {
		return slices.Index(p.whole.Keep, a.Name) - slices.Index(p.whole.Keep, b.Name)
	})
	_, p.start = m.given(p.whole, known)
	p.whole.Features = true
	p.whole.Split, p.whole.Full = m.net.Needs(sites, m.mask)
	return p, nil
}

// readsOf lists what the suffix of a set of sites reads of the store.
func (m *Model) readsOf(set []int) ([]Activation, error) {
	key := fmt.Sprint(set)
	if r, ok := m.reads[key]; ok {
		return r, nil
	}
	p, err := m.net.Outline().Program(1, &Forward{Sites: set})
	if err != nil {
		return nil, err
	}
	m.reads[key] = p.Reads
	return p.Reads, nil
}

// start is the boundary from which queries of the weights are evaluated: what lies
// below the first trained parameter is as the clean pass left it.
func (m *Model) start(sites []int) int { return m.net.out.resume(m.direct(sites)) }

// direct lists the trained parameters that are perturbed as weights: those of the
// sites are perturbed there.
func (m *Model) direct(sites []int) []int {
	at := map[int]bool{}
	for _, s := range sites {
		for _, i := range m.net.sites[s].Params() {
			at[i] = true
		}
	}
	var direct []int
	for i, p := range m.net.params {
		if p.Grad != nil && !at[i] {
			direct = append(direct, i)
		}
	}
	return direct
}

// WeightFLOPs is the cost of one query of the weights: the blocks from the first
// trained parameter on.
func (m *Model) WeightFLOPs() int64 {
	var sites []int
	if m.plan != nil {
		sites = m.plan.sites
	}
	return m.net.out.from(m.start(sites))
}
