package cuda

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
)

// weightLosses evaluates forwards with θ + sign·σ·z, direction by direction.
// The originals are kept on the device and copied back, so that nothing is left
// of the noise.
func (m *Model) weightLosses(ctx context.Context, t *query.Perturbation, q []query.Query, out []float32) (err error) {
	if err := m.save(t.Params); err != nil {
		return err
	}
	defer func() {
		for _, i := range t.Params {
			n := int64(4 * len(m.net.Params()[i].Data))
			if e := m.dev.CopyWithin(m.l.params[i], m.originals[i], n, Compute); err == nil {
				err = e
			}
		}
	}()
	groups := groupDirections(q)
	limit := queryRoom
	if m.hostLoss() {
		limit = int(m.logitRoom())
	}
	for len(groups) > 0 {
		n, queries := 0, 0
		for n < len(groups) && queries+len(groups[n].at) <= limit {
			queries += len(groups[n].at)
			n++
		}
		if n == 0 {
			return fmt.Errorf("cuda: a direction of %d queries is longer than %d", len(groups[0].at), limit)
		}
		if err := m.directionLosses(ctx, t, q, groups[:n], queries, out); err != nil {
			return err
		}
		groups = groups[n:]
	}
	return nil
}

// owned says that a parameter is an objective's own, which the host evaluates.
func owned(p *query.Param) bool { return p.Role == "temperature" }

// direction is the queries that share one set of weights.
type direction struct {
	pair int32
	sign int8
	at   []int // indices into the queries
}

// groupDirections collects the queries of each direction in the order given.
func groupDirections(q []query.Query) []direction {
	index := map[[2]int32]int{}
	var out []direction
	for i, x := range q {
		k := [2]int32{x.Pair, int32(x.Sign)}
		j, ok := index[k]
		if !ok {
			j = len(out)
			index[k] = j
			out = append(out, direction{pair: x.Pair, sign: x.Sign})
		}
		out[j].at = append(out[j].at, i)
	}
	return out
}

// directionLosses evaluates whole directions of so many queries in all.
func (m *Model) directionLosses(ctx context.Context, t *query.Perturbation, q []query.Query, groups []direction, queries int, out []float32) error {
	pixels := int64(m.net.Pixels())
	p, err := m.wholeProgram(false, m.pass.batch.N, 4*pixels)
	if err != nil {
		return err
	}
	if m.pixelsOf != m.pass.batch { // a batch was evaluated since
		if err := m.sendPixels(m.pass.batch, 0, m.pass.batch.N); err != nil {
			return err
		}
	}
	staged := m.l.region + Ptr(align(p.vm.Bytes()))
	ordered := make([]query.Query, 0, queries)
	pair, coef := m.queryArrays(2), floatsOf(m.l.queries[4*4*queryRoom:4*5*queryRoom])
	for _, g := range groups {
		for _, j := range g.at {
			ordered = append(ordered, q[j])
		}
	}
	m.fill(ordered)
	for i, g := range groups { // a direction's pair and coefficient, in place of its queries'
		pair[i], coef[i] = g.pair, float32(g.sign)*t.Sigma[0]
	}
	if err := m.sendQueries(queries, 5); err != nil {
		return err
	}
	done := 0
	for i, g := range groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.perturbWeights(t, i); err != nil {
			return err
		}
		for lo := 0; lo < len(g.at); lo += p.Slots {
			n := min(p.Slots, len(g.at)-lo)
			s := m.l.slotsAt(done)
			if err := m.dev.Gather(staged, m.l.images, s.Image, n, pixels, pixels); err != nil {
				return err
			}
			p.vm.Set(Run{N: n, Slots: s, Images: staged})
			if err := p.vm.RunAll(); err != nil {
				return err
			}
			if err := m.keepLosses(p, done, n); err != nil {
				return err
			}
			done += n
		}
	}
	losses := make([]float32, queries)
	if err := m.answerLosses(ordered, losses); err != nil {
		return err
	}
	done = 0
	for _, g := range groups {
		for _, j := range g.at {
			out[j] = losses[done]
			done++
		}
	}
	return nil
}

// perturbWeights writes θ + c·z of the i-th direction sent into the parameters.
func (m *Model) perturbWeights(t *query.Perturbation, i int) error {
	at := Ptr(4 * i)
	for _, k := range t.Params {
		n := int64(len(m.net.Params()[k].Data))
		if err := m.dev.WeightNoise(m.l.params[k], m.originals[k], m.l.slots.Pair+at, m.l.coef+at, 1, t.Step, query.WeightSite, uint32(k), n); err != nil {
			return err
		}
	}
	return nil
}

// save copies the parameters that will be perturbed.
func (m *Model) save(params []int) error {
	fresh := m.saved == nil
	var bytes int64
	for _, i := range params {
		p := m.net.Params()[i]
		if owned(p) {
			return uierr.New(fmt.Sprintf("train.device: %s is perturbed on the CPU only", p.Name), "keep it fixed, or set train.device: cpu")
		}
		if _, ok := m.originals[i]; !ok {
			fresh = true
		}
		bytes += align(4 * int64(len(p.Data)))
	}
	if fresh {
		if m.saved != nil {
			if err := m.saved.Close(); err != nil {
				return err
			}
		}
		var err error
		if m.saved, err = NewArena(m.dev.Driver, bytes, "train.batch_size"); err != nil {
			return err
		}
		m.originals = map[int]Ptr{}
		for _, i := range params {
			p := m.net.Params()[i]
			if m.originals[i], err = m.saved.Take("originals", 4*int64(len(p.Data))); err != nil {
				return err
			}
		}
	}
	for _, i := range params {
		if err := m.dev.CopyWithin(m.originals[i], m.l.params[i], int64(4*len(m.net.Params()[i].Data)), Compute); err != nil {
			return err
		}
	}
	return nil
}
