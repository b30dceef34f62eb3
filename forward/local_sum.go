package forward

import (
	"context"
	"fmt"
)

func (l *local) Accumulate(ctx context.Context, s *Step, records []Record) error {
	return accumulateEach(ctx, s, records, l.accumulate)
}

// accumulateEach has layers add the gradient of a record of layers, and adds that of the
// map to the outputs.
func accumulateEach(ctx context.Context, s *Step, records []Record,
	layers func(context.Context, *Step, *Record) error) error {
	for i := range records {
		r, err := &records[i], error(nil)
		if r.Perturbation.Kind == Layers {
			err = layers(ctx, s, r)
		} else {
			err = accumulateOutputs(ctx, s.Pass, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// accumulate adds the gradient of the layers from the last to the first.
func (l *local) accumulate(ctx context.Context, s *Step, r *Record) error {
	pass, ok := PassAs[Chained](s.Pass)
	if !ok {
		return fmt.Errorf("forward: a %T has no layers", s.Pass)
	}
	teaches := len(r.Perturbation.Params) == 0
	var top []float32
	if l.o.Above {
		top = make([]float32, s.Batch.Size*l.layers[0].noise())
	}
	if top != nil || len(l.top) > 0 && !teaches {
		params := l.top
		if teaches {
			params = nil
		}
		if err := pass.AccumulateTop(ctx, params, top); err != nil {
			return err
		}
	}
	if err := l.f.predict(ctx, &l.o, s, r, pass, top); err != nil || teaches {
		return err
	}
	var rest []float32
	for b := len(l.layers) - 1; b >= 0; b-- {
		x := &l.layers[b]
		var below []float32
		if l.below(b) {
			l.rest[b%2] = room(l.rest[b%2], s.Batch.Size*x.Rows*l.layers[b-1].Width)
			below = l.rest[b%2]
		}
		l.at = room(l.at, s.Batch.Size*x.noise())
		if err := l.f.gradient(&l.o, s, r, b, l.at); err != nil {
			return err
		}
		g, err := l.someRows(s, b, LayerGradient{At: l.at, Rest: rest, Straight: l.o.Derivative != OwnDerivative})
		if err != nil {
			return err
		}
		if err := pass.AccumulateLayer(ctx, l.o.Sites[b], g, x.Params, below); err != nil {
			return err
		}
		if below != nil && rest != nil {
			axpy(below, 1, rest)
		}
		rest = below
	}
	return nil
}

// below says whether layer b leaves a gradient at rows of the one below it that are not
// read.
func (l *local) below(b int) bool { return b > 0 && !l.o.RowAlone && l.layers[b-1].others() }

// room is v, or a longer one, of n numbers.
func room[T any](v []T, n int) []T {
	if cap(v) < n {
		v = make([]T, n)
	}
	return v[:n]
}
