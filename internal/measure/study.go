package measure

import (
	"context"
	"encoding/json"
	"time"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/settings"
)

// Options of a study.
type Options struct {
	Pairs  int // directions per image of the independent probe
	Draws  int // gradient draws per allocator
	Budget int // queries per perturbation
}

// Row is one allocator over all batches of a study.
type Row struct {
	Name      string          `json:"name"`
	Predicted float64         `json:"predicted_ratio"`
	Measured  float64         `json:"measured_ratio"`
	CI95      [2]float64      `json:"ci95"`
	Cosine    float64         `json:"cosine_bp"`
	Seconds   float64         `json:"seconds"` // of the allocator, per allocation
	Queries   int64           `json:"queries"` // asked to measure it
	Params    settings.Floats `json:"parameters,omitempty"`
	// Bias is the squared distance of the estimate's mean to the backpropagation
	// gradient, in units of that gradient's squared norm, with its 95% interval:
	// an unbiased estimator's holds 0, but for what smoothing by sigma adds. Nil
	// without a backpropagation gradient, or with fewer than three draws.
	Bias     *float64  `json:"bias_squared,omitempty"`
	BiasCI95 []float64 `json:"bias_squared_ci95,omitempty"`
}

// MarshalJSON implements json.Marshaler: what draws do not say (Ratio) is null.
func (r Row) MarshalJSON() ([]byte, error) {
	type row Row
	return json.Marshal(struct {
		row
		Measured *float64        `json:"measured_ratio"`
		CI95     settings.Floats `json:"ci95"`
	}{row(r), settings.Finite(r.Measured), r.CI95[:]})
}

// Image is one image of a study's first batch.
type Image struct {
	Index   int            `json:"-"` // in the training split
	Path    string         `json:"path"`
	Label   string         `json:"label"`
	Loss    float64        `json:"loss"`
	Queries map[string]int `json:"queries"`
}

// Batch is the study of one batch.
type Batch struct {
	Results  []*Result // uniform first
	Variance []float64 // that one direction of each image adds, from the probe
	Probe    time.Duration
}

// Study measures every allocator on one batch against equal shares, which must
// be the first of them.
func (k *Bench) Study(ctx context.Context, all []alloc.Allocator, sig alloc.Signals, o Options) (*Batch, error) {
	began := time.Now()
	v, err := k.Probe(ctx, o.Pairs)
	if err != nil {
		return nil, err
	}
	out := &Batch{Variance: v.Images(), Probe: time.Since(began)}
	ref, err := k.Reference(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		r, err := k.Measure(ctx, a, sig, o.Budget, o.Draws, v, ref)
		if err != nil {
			return nil, err
		}
		out.Results = append(out.Results, r)
	}
	return out, nil
}

// Summarise averages the batches. Measured ratios are of the summed variances,
// which is the variance of the batches' mean gradient.
func Summarise(batches []*Batch) []Row {
	n := len(batches)
	rows := make([]Row, len(batches[0].Results))
	for j := range rows {
		sum, base := &Result{}, &Result{}
		for _, b := range batches {
			r := b.Results[j]
			rows[j].Name = r.Name
			rows[j].Predicted += r.Predicted / float64(n)
			rows[j].Cosine += r.Cosine / float64(n)
			rows[j].Seconds += r.Seconds / float64(n)
			rows[j].Queries += r.Queries
			sum.add(r)
			base.add(b.Results[0])
		}
		rows[j].Bias, rows[j].BiasCI95 = meanBias(sum.bias)
		rows[j].Measured, rows[j].CI95[0], rows[j].CI95[1] = Ratio(sum, base)
	}
	return rows
}

// add sums the draws of another batch, draw by draw.
func (r *Result) add(o *Result) {
	if r.d == nil {
		r.d = make([]float64, len(o.d))
	}
	for i, d := range o.d {
		r.d[i] += d
	}
	r.Variance += o.Variance
	r.bias = append(r.bias, o.bias...)
}
