package cuda

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/uierr"
)

// Save copies the parameters that will be perturbed, on the device.
func (d *backend) Save(params []int) error {
	fresh := d.saved == nil
	var bytes int64
	for _, i := range params {
		p := d.net.Params()[i]
		if p.Role == "temperature" { // an objective's own, which the host evaluates
			return uierr.New(fmt.Sprintf("train.device: %s is perturbed on the CPU only", p.Name),
				"keep it fixed, or set train.device: cpu")
		}
		if _, ok := d.originals[i]; !ok {
			fresh = true
		}
		bytes += align(4 * int64(len(p.Data)))
	}
	if fresh {
		if err := d.originalsOf(params, bytes); err != nil {
			return err
		}
	}
	if err := d.refresh(); err != nil {
		return err
	}
	for _, i := range params {
		if err := d.dev.CopyWithin(d.originals[i], d.l.params[i], d.size(i), Compute); err != nil {
			return err
		}
	}
	return nil
}

// originalsOf makes room for the originals of parameters.
func (d *backend) originalsOf(params []int, bytes int64) (err error) {
	if d.saved != nil {
		if err := d.saved.Close(); err != nil {
			return err
		}
	}
	if d.saved, err = NewArena(d.dev.Driver, bytes, "train.batch_size"); err != nil {
		return err
	}
	d.originals = map[int]Ptr{}
	for _, i := range params {
		if d.originals[i], err = d.saved.Take("originals", d.size(i)); err != nil {
			return err
		}
	}
	return nil
}

// size is the bytes of a parameter.
func (d *backend) size(i int) int64 { return 4 * int64(len(d.net.Params()[i].Data)) }

// Restore copies the originals back.
func (d *backend) Restore(params []int) error {
	for _, i := range params {
		if err := d.dev.CopyWithin(d.l.params[i], d.originals[i], d.size(i), Compute); err != nil {
			return err
		}
		if err := d.round(i); err != nil {
			return err
		}
	}
	return nil
}

// Perturb writes θ + c·z of a query's direction into the parameters.
func (d *backend) Perturb(ctx context.Context, params []int, at int) error {
	pair, coef := d.l.slotsAt(at).Pair, d.l.coef+Ptr(4*at)
	for _, i := range params {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := d.dev.WeightNoise(d.l.params[i], d.originals[i], pair, coef, 1, d.list.Step, forward.WeightSite,
			uint32(i), d.size(i)/4)
		if err == nil {
			err = d.round(i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
