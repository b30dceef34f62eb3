package remote

import (
	"context"
	"errors"

	"github.com/flops-vit/flops/internal/oip"
)

// Dial waits for the server to be ready, reads the model's metadata and checks
// it. Nothing is asked of the model. A server that is down is waited for within
// the policy's patience.
func Dial(ctx context.Context, e oip.Endpoint, p Policy) (*oip.Client, error) {
	c, err := oip.NewClient(e, p.InFlight, p.Log)
	if err != nil {
		return nil, err
	}
	r := p.retrier()
	for _, ask := range []func(context.Context) error{c.Ready, c.Describe} {
		if err := r.do(ctx, ask); err != nil {
			return nil, err
		}
	}
	var f *oip.Fault
	if err := r.do(ctx, c.Negotiate); err != nil && !errors.As(err, &f) {
		return nil, err
	}
	return c, nil
}
