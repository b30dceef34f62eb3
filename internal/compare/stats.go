package compare

import (
	"math"

	"github.com/flops-vit/flops/internal/data"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Mean is a mean over seeds with the half width of its 95% interval by
// Student's t, which takes the seeds as independent and the values as normal;
// NaN with one seed.
type Mean struct{ Value, Half float64 }

// MeanOf is the mean of some values.
func MeanOf(v []float64) Mean {
	if len(v) == 0 {
		return Mean{math.NaN(), math.NaN()}
	}
	m, sd := stat.MeanStdDev(v, nil)
	if len(v) < 2 {
		return Mean{m, math.NaN()}
	}
	n := float64(len(v))
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975)
	return Mean{m, t * sd / math.Sqrt(n)}
}

// ArmResult is an arm over its seeds.
type ArmResult struct {
	Arm
	Runs       []Result
	Accuracy   Mean
	Validation Mean    // NaN without a validation split
	Difference Mean    // accuracy less the first arm's with the same seed; of the first arm NaN
	P          float64 // of the difference, corrected over the arms (Holm); NaN where there is none
	Loss       Mean
	LossDiff   Mean    // loss less the first arm's with the same seed
	LossP      float64 // of that, the same
	Queries    float64
	FLOPs      float64
	Seconds    float64 // median: a machine that others use takes longer now and then
	PeakMiB    float64 // the largest of the runs; NaN where the system does not say
	Curve      []CurvePoint
}

// CurvePoint is the mean accuracy after so many queries.
type CurvePoint struct {
	Queries  float64
	Seconds  float64 // NaN where a run kept no clock
	Accuracy Mean
}

// Summarise makes the table. The differences are paired: a seed gives every arm
// the same new classifier, batches and noise, so that what a seed does to all
// arms cancels.
func Summarise(arms []Arm, runs [][]Result) []ArmResult {
	var out []ArmResult
	of := func(r []Result, f func(Result) float64) []float64 {
		v := make([]float64, len(r))
		for i := range r {
			v[i] = f(r[i])
		}
		return v
	}
	accuracy := func(r Result) float64 { return r.Accuracy }
	loss := func(r Result) float64 { return r.Loss }
	validation := func(r Result) float64 {
		if r.Validation == nil {
			return math.NaN()
		}
		return *r.Validation
	}
	for i, a := range arms {
		r := runs[i]
		s := ArmResult{Arm: a, Runs: r, Accuracy: MeanOf(of(r, accuracy)), Validation: MeanOf(of(r, validation)),
			Difference: Mean{math.NaN(), math.NaN()}, P: math.NaN(),
			Loss: MeanOf(of(r, loss)), LossDiff: Mean{math.NaN(), math.NaN()}, LossP: math.NaN(),
			Queries: stat.Mean(of(r, func(r Result) float64 { return float64(r.Queries) }), nil),
			FLOPs:   stat.Mean(of(r, func(r Result) float64 { return float64(r.FLOPs) }), nil),
			Seconds: median(of(r, func(r Result) float64 { return r.Seconds })), PeakMiB: math.NaN()}
		if i > 0 {
			d, l := of(r, accuracy), of(r, loss)
			for k := range d {
				d[k] -= runs[0][k].Accuracy
				l[k] -= runs[0][k].Loss
			}
			s.Difference, s.LossDiff, s.P, s.LossP = MeanOf(d), MeanOf(l), pairedP(d), pairedP(l)
		}
		for _, one := range r {
			if one.PeakMiB > 0 && !(s.PeakMiB >= one.PeakMiB) {
				s.PeakMiB = one.PeakMiB
			}
		}
		s.Curve = curveOf(r)
		out = append(out, s)
	}
	correct(out, func(a *ArmResult) *float64 { return &a.P })
	correct(out, func(a *ArmResult) *float64 { return &a.LossP })
	return out
}

// curveOf is the mean over the seeds of each evaluation; a run that has fewer
// ends the curve.
func curveOf(r []Result) []CurvePoint {
	var out []CurvePoint
	for k := 0; ; k++ {
		var q, a, seconds []float64
		for _, one := range r {
			if k >= len(one.Curve) {
				return out
			}
			q, a = append(q, float64(one.Curve[k].Queries)), append(a, one.Curve[k].Accuracy)
			seconds = append(seconds, one.Curve[k].clock())
		}
		if len(q) == 0 {
			return out
		}
		out = append(out, CurvePoint{stat.Mean(q, nil), median(seconds), MeanOf(a)})
	}
}

// Splits say what the accuracies of a comparison are of.
type Splits struct {
	Validation bool // some run had a validation split, and its curve is of that
	Untested   bool // no run had a test split: Accuracy is of validation
}

// Both says whether there are accuracies of either split.
func (s Splits) Both() bool { return s.Validation && !s.Untested }

// SplitsOf looks at what the runs measured.
func SplitsOf(arms []ArmResult) Splits {
	s := Splits{Untested: true}
	for _, a := range arms {
		for _, r := range a.Runs {
			s.Validation = s.Validation || r.Validation != nil
			s.Untested = s.Untested && r.Split == data.Validation
		}
	}
	s.Untested = s.Untested && s.Validation
	return s
}
