package forward

import "context"

// weight perturbs parameters with directions that the images share (SPSA, Spall 1992; MeZO, Malladi et al. 2023). Image i takes part in the first
// P_i directions. Schedules: all perturbs every trained parameter at once,
// tensor one parameter after another.
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
	r := &Result{}
	q, losses := w.w.plan(s.Counts, w.o.Antithetic)
	for _, p := range w.Plan(s.Number) {
		if err := s.Pass.Losses(ctx, &p, q, losses); err != nil {
			return nil, err
		}
		c := coefficients(q, losses, s.Clean.Losses, p.Sigma[0], w.o.Antithetic)
		r.Queries += int64(len(q))
		r.FLOPs += int64(len(q)) * QueryFLOPs(m, p)
		r.Records = append(r.Records, Record{Perturbation: p, Coefs: c})
	}
	r.Variance = Variance(m, s, r.Records, nil, w.o.Antithetic)
	return r, nil
}

func (w *weight) Accumulate(ctx context.Context, s *Step, records []Record) error {
	for i := range records {
		r := &records[i]
		if err := s.Pass.Accumulate(ctx, &r.Perturbation, shareDirections(&w.w, s.Counts, r.Coefs,
			w.o.Antithetic)); err != nil {
			return err
		}
	}
	return nil
}

// shareDirections sums the images' weighted coefficients of each direction:
// C_q = Σ_{i: P_i ≥ q} c_iq / (B·P_i).
func shareDirections(w *workspace, counts []int, c []float32, antithetic bool) []Term {
	var sums []float64
	for _, t := range w.weigh(counts, c, antithetic) {
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

func (w *weight) Learn(*Step, []Record) {}

func (w *weight) State() []float64 { return nil }

func (w *weight) Restore([]float64) error { return nil }
