package cuda

import (
	"fmt"
	"unsafe"

	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/vit"
)

var _ vit.Updater = (*backend)(nil)

// holding is what the device keeps of an optimizer.
type holding struct {
	on    bool
	kind  string
	kept  int                // tensors of each trained parameter
	ahead []bool             // per parameter: the host's is older
	hosts map[int][]*float32 // per parameter: where the host has the tensors that were taken over
	back  map[int][][]float32
	sums  map[int]float64 // of squares, until the gradients change
}

// Hold implements query.Updating.
func (d *backend) Hold(kind string, kept int) bool {
	if _, ok := ruleSteps[kind]; !ok {
		return false
	}
	if d.held.kind != kind || d.held.kept != kept {
		d.held.hosts, d.held.back = map[int][]*float32{}, map[int][][]float32{}
	}
	d.held.on, d.held.kind, d.held.kept = true, kind, kept
	return true
}

// Release implements query.Updating.
func (d *backend) Release() error {
	d.held.on = false
	clear(d.begun)
	return d.Fetch()
}

// Forget implements query.Updating.
func (d *backend) Forget() {
	clear(d.begun)
	d.held.sums = nil
}

// Fetch implements query.Updating.
func (d *backend) Fetch() error {
	for i, p := range d.net.Params() {
		if !d.held.ahead[i] {
			continue
		}
		if err := d.dev.Download(raw(p.Data), d.l.params[i], Compute); err != nil {
			return err
		}
		for k, t := range d.held.back[i] {
			if err := d.dev.Download(raw(t), d.l.kept[i][k], Compute); err != nil {
				return err
			}
		}
		d.held.ahead[i] = false
	}
	return nil
}

// squaresOf is how many sums the squares of n values make.
func squaresOf(n int) int { return (n + squareBlock - 1) / squareBlock }

// Squares implements query.Updating.
func (d *backend) Squares(params []int) ([]float64, error) {
	out := make([]float64, len(params))
	known := true
	for k, i := range params {
		sum, ok := d.held.sums[i]
		out[k], known = sum, known && ok
	}
	if known {
		return out, nil
	}
	if err := d.dev.Sync(); err != nil { // the page-locked memory is written again
		return nil, err
	}
	at := 0
	for _, i := range params {
		if d.begun[i] {
			n := len(d.net.Params()[i].Data)
			if err := d.dev.SquareSums(d.l.squares+Ptr(8*at), d.l.grads[i], int64(n)); err != nil {
				return nil, err
			}
			at += squaresOf(n)
		}
	}
	sums := unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(d.l.answers))), len(d.l.answers)/8)
	if at > len(sums) {
		return nil, fmt.Errorf("cuda: %d sums of squares, where there is room for %d", at, len(sums))
	}
	if err := d.dev.Download(d.l.answers[:8*at], d.l.squares, Compute); err != nil {
		return nil, err
	}
	if d.held.sums == nil {
		d.held.sums = map[int]float64{}
	}
	at = 0
	for k, i := range params {
		if out[k] = 0; d.begun[i] {
			for _, s := range sums[at:][:squaresOf(len(d.net.Params()[i].Data))] {
				out[k] += s
				at++
			}
		}
		d.held.sums[i] = out[k]
	}
	return out, nil
}

// Update implements query.Updating.
func (d *backend) Update(rules []query.Rule, scale float32) (sound bool, err error) {
	if err := d.refresh(); err != nil {
		return false, err
	}
	if err := d.dev.Zero(d.l.bad, 4, Compute); err != nil {
		return false, err
	}
	for _, r := range rules {
		if err := d.take(r); err != nil {
			return false, err
		}
		i := r.Param
		if !d.begun[i] {
			if err := d.dev.Zero(d.l.grads[i], d.size(i), Compute); err != nil {
				return false, err
			}
		}
		s := ruleStep{w: d.l.params[i], half: d.l.halves[i], grad: d.l.grads[i], bad: d.l.bad, kept: d.l.kept[i],
			numbers: r.Numbers, scale: scale, n: d.size(i) / 4, work: d.l.region, rule: r}
		if err := ruleSteps[r.Kind](d.dev, &s); err != nil {
			return false, err
		}
		d.held.ahead[i] = true
	}
	bad := intsOf(d.l.answers)[:1]
	err = d.dev.Download(raw(bad), d.l.bad, Compute)
	return bad[0] == 0, err
}

// take makes the device's tensors those of a rule.
func (d *backend) take(r query.Rule) error {
	if len(r.Kept) != len(d.l.kept[r.Param]) {
		return fmt.Errorf("cuda: a step of %s keeps %d tensors, where there is room for %d", r.Kind, len(r.Kept),
			len(d.l.kept[r.Param]))
	}
	have := d.held.hosts[r.Param]
	for k, t := range r.Kept {
		at := unsafe.SliceData(t)
		if k < len(have) && have[k] == at {
			continue
		}
		if err := d.dev.Upload(d.l.kept[r.Param][k], raw(t), Compute); err != nil {
			return err
		}
		have = append(have[:k], at)
	}
	d.held.hosts[r.Param], d.held.back[r.Param] = have, r.Kept
	return nil
}
