package cuda

import (
	"context"
	"fmt"
	"math/bits"
	"slices"

	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/vit"
)

// queryArrays is page-locked memory for one number per query: image, label,
// pair, sign, coefficient.
func (m *Model) queryArrays(i int) []int32 {
	return intsOf(m.l.queries[4*i*queryRoom : 4*(i+1)*queryRoom])
}

// tail is the page-locked memory after the arrays: σ of every site, the step,
// and where the terms of each image begin.
func (m *Model) tail() (sigma []float32, step, first []int32) {
	rest := m.l.queries[4*5*queryRoom:]
	n := len(m.net.Sites())
	return floatsOf(rest[:4*n]), intsOf(rest[4*n : 4*n+4]), intsOf(rest[4*n+4:])
}

// sendQueries uploads the first n entries of the first arrays of queries. The
// page-locked memory must not be written again before the device was waited
// for, which every download does.
func (m *Model) sendQueries(n, arrays int) error {
	for i, p := range []Ptr{m.l.slots.Image, m.l.slots.Label, m.l.slots.Pair, m.l.slots.Sign, m.l.coef}[:arrays] {
		if err := m.dev.Upload(p, raw(m.queryArrays(i)[:n]), Compute); err != nil {
			return err
		}
	}
	return nil
}

// sendNoise uploads σ of every site and the step.
func (m *Model) sendNoise(t *query.Perturbation) error {
	sigma, step, _ := m.tail()
	clear(sigma)
	for i, s := range t.Sites {
		sigma[s] = t.Sigma[i]
	}
	step[0] = int32(t.Step)
	n := 4 * (len(sigma) + 1)
	return m.dev.Upload(m.l.slots.Sigma, m.l.queries[4*5*queryRoom:][:n], Compute)
}

// suffixProgram is the suffix of these sites for up to want queries, with taps
// and extra bytes of the region per slot beside it.
func (m *Model) suffixProgram(sites []int, taps []string, want int, extra int64) (*compiled, error) {
	want = 1 << bits.Len(uint(want-1)) // so that a list a little longer finds the program made
	return m.program(fmt.Sprint("suffix", sites, taps), want, extra, func(slots int) (*vit.Program, []string, error) {
		p, err := m.net.SuffixProgram(slots, sites)
		return p, taps, err
	})
}

// Losses evaluates queries: suffixes from noisy sites, or forwards with noisy
// weights.
func (p *pass) Losses(ctx context.Context, t *query.Perturbation, q []query.Query, out []float32) error {
	m := p.m
	if m.pass != p {
		return query.ErrStale
	}
	if err := m.upload(); err != nil {
		return err
	}
	if t.Kind == query.Weight {
		return m.weightLosses(ctx, t, q, out)
	}
	if err := m.named(t); err != nil {
		return err
	}
	limit := queryRoom
	if m.hostLoss() {
		limit = int(m.logitRoom())
	}
	for lo := 0; lo < len(q); lo += limit {
		hi := min(len(q), lo+limit)
		if err := m.suffixLosses(ctx, t, q[lo:hi], out[lo:hi]); err != nil {
			return err
		}
	}
	return nil
}

// named refuses sites that the clean pass kept nothing for.
func (m *Model) named(t *query.Perturbation) error {
	for _, s := range t.Sites {
		if !slices.Contains(m.sites, s) {
			return fmt.Errorf("cuda: site %d was not named to the clean pass", s)
		}
	}
	return nil
}

// fill writes queries to the page-locked arrays.
func (m *Model) fill(q []query.Query) {
	image, label, pair, sign := m.queryArrays(0), m.queryArrays(1), m.queryArrays(2), m.queryArrays(3)
	for i, x := range q {
		image[i], label[i], pair[i], sign[i] = x.Image, m.pass.loss.Targets[x.Image], x.Pair, int32(x.Sign)
	}
}

// suffixLosses evaluates at most queryRoom queries: one upload, the suffixes in
// micro-batches with nothing between them for the device to wait for, and one
// download.
func (m *Model) suffixLosses(ctx context.Context, t *query.Perturbation, q []query.Query, out []float32) error {
	p, err := m.suffixProgram(t.Sites, nil, len(q), 0)
	if err != nil {
		return err
	}
	m.fill(q)
	if err := m.sendQueries(len(q), 4); err != nil {
		return err
	}
	if err := m.sendNoise(t); err != nil {
		return err
	}
	for lo := 0; lo < len(q); lo += p.Slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(p.Slots, len(q)-lo)
		p.vm.Set(Run{N: n, Slots: m.l.slotsAt(lo)})
		if err := p.vm.RunAll(); err != nil {
			return err
		}
		if err := m.keepLosses(p, lo, n); err != nil {
			return err
		}
	}
	return m.answerLosses(q, out)
}

// keepLosses moves a micro-batch's losses, or its logits where the host
// evaluates them, to their place in the list.
func (m *Model) keepLosses(p *compiled, lo, n int) error {
	if m.hostLoss() {
		k := m.net.Arch.Outputs()
		return m.dev.CopyWithin(m.l.logits+Ptr(4*lo*k), p.vm.Value(p.Logits), int64(4*n*k), Compute)
	}
	return m.dev.CopyWithin(m.l.losses+Ptr(4*lo), p.vm.Value(p.Losses), int64(4*n), Compute)
}

// answerLosses downloads the losses of queries.
func (m *Model) answerLosses(q []query.Query, out []float32) error {
	answers := floatsOf(m.l.answers)
	if !m.hostLoss() {
		err := m.dev.Download(raw(answers[:len(q)]), m.l.losses, Compute)
		copy(out, answers[:len(q)])
		return err
	}
	k := m.net.Arch.Outputs()
	if err := m.dev.Download(raw(answers[:len(q)*k]), m.l.logits, Compute); err != nil {
		return err
	}
	target := make([]int32, len(q))
	for i, x := range q {
		target[i] = m.pass.loss.Targets[x.Image]
	}
	return m.pass.loss.Losses(out, answers, len(q), k, target)
}
