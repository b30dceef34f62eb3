package cuda

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/uierr"
)

// Save copies the parameters that will be perturbed, on the device.
func (d *backend) Save(params []int) error {
	var missing []int // what the layout was not told of
	for _, i := range params {
		p := d.net.Params()[i]
		if p.Role == "temperature" { // an objective's own, which the host evaluates
			return uierr.New(fmt.Sprintf("train.device: %s is perturbed on the CPU only", p.Name),
				"keep it fixed, or set train.device: cpu")
		}
		if _, ok := d.l.originals[i]; !ok {
			missing = append(missing, i)
		}
	}
	if err := d.originalsOf(missing); err != nil {
		return err
	}
	if err := d.refresh(); err != nil {
		return err
	}
	var kept, shares []WeightShare
	for _, i := range params {
		s := WeightShare{Out: d.l.params[i], Z: d.l.originals[i], Half: d.l.halves[i], N: d.size(i) / 4, Image: uint32(i)}
		shares = append(shares, s)
		kept = append(kept, WeightShare{Out: s.Z, Z: s.Out, N: s.N})
	}
	if err := d.shares(&d.copied, d.l.shares[1], params, kept); err != nil {
		return err
	}
	if err := d.dev.WeightsNoise(d.copied.shareTable, d.l.slots.Pair, d.l.coef, 0, 0, forward.WeightSite); err != nil {
		return err
	}
	return d.shares(&d.perturbed, d.l.shares[0], params, shares)
}

// table is a list of parameters that the device has.
type table struct {
	params []int
	shareTable
}

// shares makes a table that of parameters.
func (d *backend) shares(t *table, at Ptr, params []int, shares []WeightShare) (err error) {
	if slices.Equal(t.params, params) {
		return nil
	}
	t.params = slices.Clone(params)
	t.shareTable, err = d.dev.Shares(at, shares)
	return err
}

// originalsOf makes room for the originals of parameters beside the layout.
func (d *backend) originalsOf(params []int) error {
	if len(params) == 0 {
		return nil
	}
	var bytes int64
	for _, i := range params {
		bytes += align(d.size(i))
	}
	a, err := NewArena(d.dev.Driver, bytes, "train.batch_size")
	if err != nil {
		return err
	}
	d.saved = append(d.saved, a)
	for _, i := range params {
		if d.l.originals[i], err = a.Take("originals", d.size(i)); err != nil {
			return err
		}
	}
	return nil
}

// size is the bytes of a parameter.
func (d *backend) size(i int) int64 { return 4 * int64(len(d.net.Params()[i].Data)) }

// Restore copies the originals back: the noise of no direction.
func (d *backend) Restore(params []int) error {
	if !slices.Equal(d.perturbed.params, params) {
		return fmt.Errorf("cuda: the originals of %d parameters, where those of %d are kept", len(params),
			len(d.perturbed.params))
	}
	return d.dev.WeightsNoise(d.perturbed.shareTable, d.l.slots.Pair, d.l.coef, 0, 0, forward.WeightSite)
}

// Perturb writes θ + c·z of a query's direction into the parameters.
func (d *backend) Perturb(ctx context.Context, params []int, at int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !slices.Equal(d.perturbed.params, params) {
		return fmt.Errorf("cuda: noise for %d parameters, where the originals of %d are kept", len(params),
			len(d.perturbed.params))
	}
	pair, coef := d.l.slotsAt(at).Pair, d.l.coef+Ptr(4*at)
	return d.dev.WeightsNoise(d.perturbed.shareTable, pair, coef, 1, d.list.Step, forward.WeightSite)
}
