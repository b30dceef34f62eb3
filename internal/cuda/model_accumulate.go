package cuda

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/vit"
)

// Accumulate adds Σ C·ε to the gradients: E_iᵀ x_i at sites, z at weights. The
// sums are made on the device and downloaded once.
func (p *pass) Accumulate(ctx context.Context, t *query.Perturbation, terms []query.Term) error {
	m := p.m
	if m.pass != p {
		return query.ErrStale
	}
	if err := m.upload(); err != nil {
		return err
	}
	if t.Kind == query.Weight {
		return m.accumulateWeights(ctx, t, terms)
	}
	if err := m.named(t); err != nil {
		return err
	}
	if len(terms) > 0 && terms[0].Sign != 0 {
		return m.accumulateJoint(ctx, t, terms)
	}
	for _, s := range t.Sites {
		if err := m.accumulateSite(ctx, t.Step, s, terms); err != nil {
			return err
		}
	}
	return nil
}

// siteSum is the gradient of one site while it is summed on the device.
type siteSum struct {
	query.Site
	rows  int
	w, b  Ptr // 0 where not trained, or not there
	begun bool
}

func (m *Model) siteSum(site int) siteSum {
	s := m.net.Sites()[site]
	g := siteSum{Site: s, rows: m.net.SiteInput(site, m.opt.Mask).Rows, w: m.l.grads[s.Weight]}
	if s.Bias >= 0 {
		g.b = m.l.grads[s.Bias]
	}
	return g
}

// add adds eᵀx and the column sums of e, over so many rows.
func (g *siteSum) add(m *Model, e, x Ptr, rows int) error {
	if g.w != 0 {
		err := m.dev.Gemm(Gemm{Form: TN, M: g.Out, N: g.In, K: rows, Alpha: 1, Accumulate: g.begun,
			A: Operand{Ptr: e, Ld: g.Out}, B: Operand{Ptr: x, Ld: g.In}, C: Operand{Ptr: g.w, Ld: g.In}})
		if err != nil {
			return err
		}
	}
	if g.b != 0 {
		if err := m.dev.ColumnSum(g.b, e, int64(rows), int64(g.Out), int64(g.Out), g.begun, m.l.sums); err != nil {
			return err
		}
	}
	g.begun = true
	return nil
}

// finish adds the sum to the host's gradient.
func (g *siteSum) finish(m *Model) error {
	if !g.begun {
		return nil
	}
	for _, i := range g.Params() {
		if err := m.download(i); err != nil {
			return err
		}
	}
	return nil
}

// download adds the device's sum of a parameter's gradient to the host's.
func (m *Model) download(param int) error {
	p := m.net.Params()[param]
	if m.l.grads[param] == 0 || p.Grad == nil {
		return nil
	}
	sum := floatsOf(m.l.answers)[:len(p.Grad)]
	if err := m.dev.Download(raw(sum), m.l.grads[param], Compute); err != nil {
		return err
	}
	kernel.AddTo(p.Grad, sum)
	return nil
}

// accumulateSite sums E_iᵀ x_i over the images, as many at a time as E has room
// for. Terms of one image stand together.
func (m *Model) accumulateSite(ctx context.Context, step uint32, site int, terms []query.Term) error {
	g := m.siteSum(site)
	if g.w == 0 && g.b == 0 {
		return nil
	}
	x := m.l.store[vit.CleanPrefix+m.net.SiteInput(site, m.opt.Mask).Name]
	n := g.rows * g.Out
	per := int(min(m.l.regionBytes/int64(4*n), maxGridZ))
	for lo := 0; lo < m.pass.batch.N && per > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		images, used, err := m.sendTerms(terms, lo, min(per, m.pass.batch.N-lo))
		if err != nil {
			return err
		}
		if err := m.dev.NoiseSum(m.l.region, m.l.first, m.l.slots.Image, m.l.slots.Pair, m.l.coef, images, step, uint32(site), int64(n)); err != nil {
			return err
		}
		if err := g.add(m, m.l.region, x.ptr+Ptr(4*lo*g.rows*g.In), images*g.rows); err != nil {
			return err
		}
		terms, lo = terms[used:], lo+images
		if lo < m.pass.batch.N { // the page-locked terms are written again
			if err := m.dev.Sync(); err != nil {
				return err
			}
		}
	}
	return g.finish(m)
}

// sendTerms uploads the terms of up to n images from image lo on, of which
// terms are the rest, and says how many images and terms that were.
func (m *Model) sendTerms(terms []query.Term, lo, n int) (images, used int, err error) {
	image, pair, coef := m.queryArrays(0), m.queryArrays(2), floatsOf(m.l.queries[4*4*queryRoom:4*5*queryRoom])
	_, _, first := m.tail()
	for images < n {
		from := used
		for used < len(terms) && int(terms[used].Image) <= lo+images {
			if used == queryRoom {
				if images == 0 {
					return 0, 0, fmt.Errorf("cuda: more than %d directions of one image", queryRoom)
				}
				return images, from, m.uploadTerms(images, from)
			}
			image[used], pair[used], coef[used] = terms[used].Image, terms[used].Pair, terms[used].C
			used++
		}
		first[images] = int32(from)
		images++
		first[images] = int32(used)
	}
	return images, used, m.uploadTerms(images, used)
}

func (m *Model) uploadTerms(rows, terms int) error {
	_, _, first := m.tail()
	if err := m.dev.Upload(m.l.first, raw(first[:rows+1]), Compute); err != nil {
		return err
	}
	return m.sendQueries(terms, 5)
}

// accumulateJoint runs the queries again, because the inputs of later sites
// depend on the noise of earlier ones, and sums C/σ·sign·εᵀx of each query with
// the x that it saw.
func (m *Model) accumulateJoint(ctx context.Context, t *query.Perturbation, terms []query.Term) error {
	var taps []string
	var extra int64
	sums := make([]siteSum, len(t.Sites))
	for k, s := range t.Sites {
		sums[k] = m.siteSum(s)
		taps = append(taps, m.net.SiteInput(s, m.opt.Mask).Name)
		extra = max(extra, align(4*int64(sums[k].rows*sums[k].Out))+align(4*int64(sums[k].rows*sums[k].In)))
	}
	room := queryRoom / len(t.Sites) // a coefficient per site and term
	p, err := m.suffixProgram(t.Sites, taps, min(len(terms), room), extra)
	if err != nil {
		return err
	}
	slots := min(p.Slots, room)
	for lo := 0; lo < len(terms); lo += slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.jointPart(t, terms[lo:min(len(terms), lo+slots)], p, sums); err != nil {
			return err
		}
	}
	for k := range sums {
		if err := sums[k].finish(m); err != nil {
			return err
		}
	}
	return nil
}

// jointPart adds one micro-batch of queries to the sums.
func (m *Model) jointPart(t *query.Perturbation, terms []query.Term, p *compiled, sums []siteSum) error {
	n := len(terms)
	if err := m.dev.Sync(); err != nil { // the page-locked queries are written again
		return err
	}
	q := make([]query.Query, n)
	coef := floatsOf(m.l.queries[4*4*queryRoom : 4*5*queryRoom])
	_, _, first := m.tail()
	for j, x := range terms {
		q[j] = query.Query{Image: x.Image, Pair: x.Pair, Sign: x.Sign}
		first[j] = int32(j)
		for k, sigma := range t.Sigma {
			coef[k*n+j] = float32(x.Sign) * x.C * (1 / sigma)
		}
	}
	first[n] = int32(n)
	m.fill(q)
	if err := m.uploadTerms(n, n*len(t.Sites)); err != nil {
		return err
	}
	if err := m.sendNoise(t); err != nil {
		return err
	}
	p.vm.Set(Run{N: n, Slots: m.l.slotsAt(0)})
	if err := p.vm.RunAll(); err != nil {
		return err
	}
	e := m.l.region + Ptr(align(p.vm.Bytes()))
	for k, site := range t.Sites {
		g := &sums[k]
		if g.w == 0 && g.b == 0 {
			continue
		}
		size := int64(g.rows * g.Out)
		if err := m.dev.NoiseSum(e, m.l.first, m.l.slots.Image, m.l.slots.Pair, m.l.coef+Ptr(4*k*n), n, t.Step, uint32(site), size); err != nil {
			return err
		}
		name := m.net.SiteInput(site, m.opt.Mask).Name
		x := e + Ptr(align(4*size*int64(n)))
		if tap := p.Taps[name]; tap != nil {
			x = p.vm.Value(tap)
		} else {
			in := int64(g.rows * g.In)
			if err := m.dev.Gather(x, m.l.store[vit.CleanPrefix+name].ptr, m.l.slots.Image, n, in, in); err != nil {
				return err
			}
		}
		if err := g.add(m, e, x, n*g.rows); err != nil {
			return err
		}
	}
	return nil
}

// accumulateWeights adds Σ_q C_q z_q; the directions are the batch's.
func (m *Model) accumulateWeights(ctx context.Context, t *query.Perturbation, terms []query.Term) error {
	pair, coef := m.queryArrays(2), floatsOf(m.l.queries[4*4*queryRoom:4*5*queryRoom])
	for lo := 0; lo < len(terms); lo += queryRoom {
		part := terms[lo:min(len(terms), lo+queryRoom)]
		for j, x := range part {
			pair[j], coef[j] = x.Pair, x.C
		}
		if err := m.sendQueries(len(part), 5); err != nil {
			return err
		}
		for _, i := range t.Params {
			n := int64(len(m.net.Params()[i].Data))
			if m.l.grads[i] == 0 {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := m.dev.Zero(m.l.grads[i], 4*n, Compute); err != nil {
				return err
			}
			if err := m.dev.WeightNoise(m.l.grads[i], m.l.grads[i], m.l.slots.Pair, m.l.coef, len(part), t.Step, query.WeightSite, uint32(i), n); err != nil {
				return err
			}
			if err := m.download(i); err != nil {
				return err
			}
		}
	}
	return nil
}
