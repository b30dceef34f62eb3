package measure

import (
	"context"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
)

// Spread is how much the gradient of a batch varies, by what one direction of each
// image adds to it, times B².
type Spread struct {
	Own    []float64   // V_i of each image, of directions of its own, docs/method.md (12)
	Shared [][]float64 // d·K_ij, of directions that images share, (15); nil where there are none
}

// At is B² times the variance where image i has directions(i) of them, up to a factor
// that directions have in common.
func (v *Spread) At(directions func(i int) float64) (sum float64) {
	for i, own := range v.Own {
		sum += own / directions(i)
	}
	for i, row := range v.Shared {
		for j, k := range row {
			sum += k / max(directions(i), directions(j))
		}
	}
	return sum
}

// Ratio is the variance at counts against that at equal shares of the same total; 1
// where nothing varies.
func (v *Spread) Ratio(counts []int) float64 {
	total := 0
	for _, n := range counts {
		total += n
	}
	equal := v.At(func(int) float64 { return float64(total) / float64(len(counts)) })
	if !(equal > 0) {
		return 1
	}
	return v.At(func(i int) float64 { return float64(counts[i]) }) / equal
}

// Images is what each image adds to the variance at equal shares, of one direction
// each.
func (v *Spread) Images() []float64 {
	out := append([]float64(nil), v.Own...)
	for i, row := range v.Shared {
		for _, k := range row {
			out[i] += k
		}
	}
	return out
}

// Probe is the spread of one direction's contribution of each image to the gradient,
// from pairs directions of its own per image: V_i = 1/(P−1) Σ_p ‖g_p − ḡ‖², with g_p the
// direction's contribution to B·Ĝ, and K̂_ij of the directions that images share.
func (k *Bench) Probe(ctx context.Context, pairs int) (*Spread, error) {
	B := k.Batch.Size
	counts := make([]int, B)
	for i := range counts {
		counts[i] = pairs * k.PerPair
	}
	s := k.next(counts)
	r, err := lr.Ask(ctx, k.Model, k.Estimator, s)
	if err != nil {
		return nil, err
	}
	v := &Spread{Own: make([]float64, B)}
	own := false
	for _, rec := range r.Records {
		if rec.Perturbation.Kind == forward.Weights {
			v.share(k, counts, rec)
		} else {
			own = true
		}
	}
	if !own {
		return v, nil
	}
	if err := k.still(ctx, s, r.Records); err != nil {
		return nil, err
	}
	for i := range B {
		var sq float64
		for p := range pairs {
			n, err := k.norm2(ctx, s, r.Records, i, p)
			if err != nil {
				return nil, err
			}
			sq += n
		}
		all, err := k.norm2(ctx, s, r.Records, i, -1)
		if err != nil {
			return nil, err
		}
		// Contributions were weighed with 1/(B·P): undo it.
		f := float64(B * pairs)
		v.Own[i] = f * f * (sq - all/float64(pairs)) / float64(pairs-1)
	}
	return v, nil
}

// share adds d·K̂ of a record.
func (v *Spread) share(k *Bench, counts []int, r forward.Record) {
	d := 0
	for _, p := range r.Perturbation.Params {
		d += len(k.Model.Params()[p].Data)
	}
	if v.Shared == nil {
		v.Shared = make([][]float64, len(counts))
		for i := range v.Shared {
			v.Shared[i] = make([]float64, len(counts))
		}
	}
	for i, row := range forward.Crossed(counts, r.Coefs, k.PerPair) {
		for j, c := range row {
			v.Shared[i][j] += float64(d) * c
		}
	}
}
