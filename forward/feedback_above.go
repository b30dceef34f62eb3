package forward

import "context"

// share is by what the gradient after the last layer is multiplied in the prediction
// of a layer: all of it before there is anything to compare.
func (f *Feedback) share(b int) float32 {
	m := f.moments[b]
	if f.layers[b].Last || !(m[above] > 0) {
		return 1
	}
	return min(1.5, max(0, m[meets]/m[above]))
}

// fromAbove finds how the outputs change by a direction where nothing but what comes
// after the last layer is evaluated, at the layers' noise each times its share.
func (f *Feedback) fromAbove(ctx context.Context, o *LocalOptions, s *Step, r *Record, pass Chained) error {
	C := f.classes
	n := len(r.Coefs) / C
	f.above = nil
	if f.top == nil || n == 0 {
		return nil
	}
	W, sigma := f.layers[0].noise(), float32(o.Sigma)
	items, add := make([]int32, 2*n), make([]float32, 2*n*W)
	err := f.directions(o, s, r, func(i, j int, d direction) {
		items[2*j], items[2*j+1] = int32(i), int32(i)
		for b := range f.layers {
			axpy(add[2*j*W:(2*j+1)*W], sigma*f.of[b], d.eps[b])
		}
		axpy(add[(2*j+1)*W:(2*j+2)*W], -1, add[2*j*W:(2*j+1)*W])
	})
	if err != nil {
		return err
	}
	out := make([]float32, 2*n*C)
	if err := pass.Above(ctx, items, add, out); err != nil {
		return err
	}
	f.above = make([]float32, n*C)
	for j := range n {
		for c := range C {
			f.above[j*C+c] = (out[2*j*C+c] - out[(2*j+1)*C+c]) / (2 * sigma)
		}
	}
	return nil
}
