package forward

import (
	"context"
	"math"
)

// weight perturbs parameters with directions that the images share, docs/method.md
// (11): SPSA, Spall 1992; MeZO, Malladi et al. 2023. Image i takes part in the first
// P_i directions. Schedules: all perturbs every trained parameter at once, tensor one
// parameter after another.
type weight struct {
	o Options
	w workspace
}

// Weight makes the weight estimator of a model: noise on the parameters of o, all at
// once (all) or one after another (tensor). Options out of range are an
// *OptionError.
func Weight(m Model, o Options) (*Estimator, error) {
	if err := o.check(m, "all", "tensor"); err != nil {
		return nil, err
	}
	if len(o.Params) == 0 {
		for i := range m.Params() {
			o.Params = append(o.Params, i)
		}
	}
	return NewEstimator(m, &weight{o: o}), nil
}

func (w *weight) Name() string { return "weight" }

func (w *weight) perPair() int { return w.o.perPair() }

func (w *weight) Sites(uint32) []int { return nil }

func (w *weight) Plan(step uint32) []Perturbation {
	p := Perturbation{Kind: Weights, Step: step, Sigma: []float32{float32(w.o.Sigma)}}
	if w.o.Schedule == "all" {
		p.Params = w.o.Params
		return []Perturbation{p}
	}
	var out []Perturbation
	for _, i := range w.o.Params {
		p.Params = []int{i}
		out = append(out, p)
	}
	return out
}

func (w *weight) Ask(ctx context.Context, m Model, s *Step) (*Result, error) {
	var records []Record
	plan := w.Plan(s.Number)
	asked, err := w.w.ask(ctx, s, plan, w.o.Antithetic)
	if err != nil {
		return nil, err
	}
	for k, p := range plan {
		rec := s.record(k, p)
		rec.Coefs = coefficients(asked[k].Queries, asked[k].Losses, s.Clean.Losses, p.Sigma[0], w.o.Antithetic)
		records = append(records, rec)
	}
	return w.Answered(m, s, records), nil
}

func (w *weight) Accumulate(ctx context.Context, s *Step, records []Record) error {
	for i := range records {
		r := &records[i]
		if err := s.Pass.Accumulate(ctx, &r.Perturbation, shareDirections(&w.w, s.ShareOf(r), r.Coefs,
			w.o.Antithetic)); err != nil {
			return err
		}
	}
	return nil
}

// shareDirections sums the images' weighted coefficients of each direction:
// C_q = Σ_{i: P_i ≥ q} c_iq / (B·π_i·P_i).
func shareDirections(w *workspace, share Share, c []float32, antithetic bool) []Term {
	var sums []float64
	for _, t := range w.weigh(share, c, antithetic) {
		for int(t.Pair) >= len(sums) {
			sums = append(sums, 0)
		}
		sums[t.Pair] += float64(t.Coef)
	}
	out := make([]Term, len(sums))
	for p, v := range sums {
		out[p] = Term{Pair: int32(p), Coef: float32(v)}
	}
	return out
}

// Variances implements Asker. The images share directions, so that their contributions
// are not independent: with K_ij = E c_i c_j the variance of the estimate is
// (1/B²) Σ_ij K_ij/max(P_i, P_j) times the number of values, and not Σ K_ii/P_i.
// V̂_i is row i of K̂ summed, which is what the image adds at equal shares, and at
// least 0; K̂ is the mean over the directions that two images have in common.
func (w *weight) Variances(m Model, s *Step, records []Record) [][]float64 {
	var out [][]float64
	for k := range records {
		r := &records[k]
		d := 0
		for _, i := range r.Perturbation.Params {
			d += len(m.Params()[i].Data)
		}
		counts := s.ShareOf(r).Counts
		v := crossed(counts, r.Coefs, w.perPair())
		for i, n := range counts {
			if v[i] = max(0, v[i]) * float64(d); n == 0 {
				v[i] = math.NaN()
			}
		}
		out = append(out, v)
	}
	return out
}

// crossed is Σ_j K̂_ij of each image.
func crossed(counts []int, c []float32, perPair int) []float64 {
	rows := make([]float64, len(counts))
	for i, k := range Crossed(counts, c, perPair) {
		for _, v := range k {
			rows[i] += v
		}
	}
	return rows
}

// Crossed is K̂ of docs/method.md (15), of coefficients whose directions the images
// share: K̂_ij is the mean of c_ip·c_jp over the directions that both i and j have, 0
// where there is none. counts are the queries of each, perPair those of a direction.
func Crossed(counts []int, c []float32, perPair int) [][]float64 {
	at, P := make([]int, len(counts)), make([]int, len(counts)) // an image's first coefficient, and their number
	next := 0
	for i, n := range counts {
		at[i], P[i] = next, n/perPair
		next += P[i]
	}
	K := make([][]float64, len(counts))
	for i := range counts {
		K[i] = make([]float64, len(counts))
		for j := range i + 1 {
			both := min(P[i], P[j])
			for p := range both {
				K[i][j] += float64(c[at[i]+p]) * float64(c[at[j]+p]) / float64(both)
			}
			K[j][i] = K[i][j]
		}
	}
	return K
}

func (w *weight) Learn(*Step, []Record) error { return nil }

func (w *weight) State() []float64 { return nil }

func (w *weight) Restore([]float64) error { return nil }
