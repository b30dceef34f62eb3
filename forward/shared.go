package forward

import "context"

// shared is learned feedback to parameters that noise is added to themselves
// (Site.Direct): one query of an image moves the parameters of all sites at once, of
// which its rows share the noise, and says how all outputs changed. From that it learns
// the mean Jacobian of the outputs by every site's numbers, J_s, and predicts the
// gradient of image i there, J_sᵀ e_i. No derivative of the network is used: with
// Kappa 1 the gradient is unbiased for every J that is fixed before the queries.
type shared struct{ *local }

// Shared makes the estimator of sites of parameters, and of the map to the outputs
// among them, whose gradient is known.
func Shared(m Model, o LocalOptions) (*Estimator, error) {
	if err := o.check(m, "joint", "per_site", "random_site"); err != nil {
		return nil, err
	}
	if err := graded(m); err != nil {
		return nil, err
	}
	l := &local{o: o, m: m}
	known := known(m, o.Sites)
	var sites []int
	for _, i := range o.Sites {
		s := m.Sites()[i]
		switch {
		case len(s.Direct) > 0: // whose gradient costs nothing besides the queries
			l.layers = append(l.layers, Layer{Number: len(sites), Width: s.Out, Reads: 1, Runs: []int{1}, Params: s.Direct})
			sites = append(sites, i)
		case known[i]:
			l.exact = append(l.exact, i)
		default:
			return nil, &OptionError{"Sites", s.Name, "it is neither parameters nor the map to the outputs", ErrMap}
		}
	}
	if len(sites) == 0 {
		return nil, &OptionError{"Sites", "no parameters", "name sites of parameters", ErrNoParams}
	}
	l.o.Sites = sites
	l.f = newFeedback(&l.o, l.layers)
	return NewEstimator(m, shared{l}), nil
}

// Accumulate implements Asker.
func (l shared) Accumulate(ctx context.Context, s *Step, records []Record) error {
	return accumulateEach(ctx, s, records, l.accumulate)
}

// accumulate adds the gradient by a site's numbers, the sum of the images'.
func (l shared) accumulate(ctx context.Context, s *Step, r *Record) error {
	if err := l.f.predict(ctx, &l.o, s, r, nil, nil); err != nil || len(r.Perturbation.Params) == 0 { // it warms up
		return err
	}
	return l.sum(s, r)
}

// sum adds the images' gradients to the parameters.
func (l shared) sum(s *Step, r *Record) error {
	for b, x := range l.layers {
		l.at = room(l.at, s.Batch.Size*x.Width)
		if err := l.f.gradient(&l.o, s, r, b, l.at); err != nil {
			return err
		}
		from := 0
		for _, i := range x.Params {
			p := l.m.Params()[i]
			n := len(p.Data)
			if p.Grad != nil {
				for row := from; row < len(l.at); row += x.Width {
					axpy(p.Grad, 1, l.at[row:row+n])
				}
			}
			from += n
		}
	}
	return nil
}
