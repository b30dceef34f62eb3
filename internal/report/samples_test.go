package report

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"

	"github.com/flops-vit/flops/internal/settings"
)

// picture is a small image with something to see.
func picture(k int) image.Image {
	im := image.NewRGBA(image.Rect(0, 0, 32, 32))
	for y := range 32 {
		for x := range 32 {
			im.SetRGBA(x, y, color.RGBA{uint8(x*8 + k*31), uint8(y*8 + k*17), uint8(k * 53), 255})
		}
	}
	return im
}

var sampleEnv = Facts{{"version", "0.1.0"}, {"go", "go1.26"}, {"processor", "an eight-core processor with a long name"},
	{"kernel", "avx512 14x32"}, {"threads", "2"}, {"seed", "0"},
	{"data checksum", "945c8f41803b29d73b18714cb5978350182fe0e6889d2781a2010983aaa643e8"}}

const sampleConfig = "model:\n  path: ../shared/models/vit-cifar5\nestimator:\n  name: activation # a comment that " +
	"is rather long, so that a narrow page has to scroll sideways to show it all\n"

func sampleAllocation() AllocationReport {
	rng := rand.New(rand.NewPCG(1, 1))
	r := AllocationReport{Title: "Who gets the queries",
		Lead:  "One batch of 12 images after 100 steps, 20 queries per image.",
		Facts: Facts{{"images", "12"}, {"queries", Count(240)}, {"draws", "30"}, {"probe", "64 pairs"}},
		Allocators: []AllocatorRow{
			{Name: "uniform", Predicted: 1, Measured: 1, Lo: 0.979, Hi: 1.021, Cosine: 0.352, Seconds: 1e-5, Queries: 268800},
			{Name: "gaussian", Predicted: 0.77, Measured: 0.769, Lo: 0.751, Hi: 0.787, Cosine: 0.393, Seconds: 9.1e-4,
				Queries: 268800},
			{Name: "gaussian_released", Predicted: 5.686, Measured: 5.328, Lo: 4.706, Hi: 6.032, Cosine: 0.171, Seconds: 4.1e-4,
				Queries: 268800},
			{Name: "bernoulli", Predicted: 0.999, Measured: 0.991, Lo: 0.968, Hi: 1.014, Cosine: math.NaN(), Seconds: 2e-5,
				Queries: 268800},
			{Name: "neyman", Predicted: 0.685, Measured: 0.683, Lo: 0.669, Hi: 0.696, Cosine: 0.42, Seconds: 1.7e-4,
				Queries: 268800},
		}, Config: sampleConfig, Env: sampleEnv,
		Learned: []Learned{{Of: "gaussian allocator", Params: []settings.Param{{Name: "w0", Doc: "mean of the scores"},
			{Name: "w1", Doc: "of the standardised loss in the mean"}, {Name: "w2", Doc: "deviation of the scores"},
			{Name: "w3", Doc: "length scale of their correlation"}}}}}
	for k := range 12 {
		loss := math.Exp(0.8 * rng.NormFloat64())
		im := AllocatedImage{Tile: Tile{Image: picture(k), Label: []string{"dog", "automobile", "cat"}[k%3],
			Path: fmt.Sprintf("train/%04d.jpg", k), Loss: loss}, Counts: map[string]int{}}
		for i, a := range r.Allocators {
			im.Counts[a.Name] = 2 * int(1+10*math.Pow(loss, float64(i)/4)*math.Exp(0.05*float64(i)*rng.NormFloat64()))
		}
		r.Images = append(r.Images, im)
	}
	for step := range 100 {
		f := float64(step) / 100
		r.Learned[0].Points = append(r.Learned[0].Points,
			ParamPoint{step, []float64{1 - 0.1*f, 0.3 + 0.3*f, 0.1 - 0.01*f, 1 + 0.02*f}})
	}
	return r
}

func sampleRun() RunReport {
	rng := rand.New(rand.NewPCG(2, 2))
	r := RunReport{Title: "cifar5", Lead: "Activation likelihood ratio, gaussian allocator, 8 queries per image and site.",
		Facts: Facts{{"test accuracy", "53.4 %"}, {"steps", "75"}, {"queries", Count(278100)}, {"time", "14.2 s"}},
		Ledger: []Spent{{"clean", 4800, 691294617600, 6.4}, {"allocator", 0, 0, 0.067},
			{"perturbed", 268800, 53202124800, 2.01}, {"evaluation", 4500, 648088704000, 5.68}},
		Config: sampleConfig, Env: sampleEnv}
	for step := 1; step <= 1500; step++ {
		f := math.Exp(-float64(step) / 300)
		s := StepPoint{Step: step, Loss: 1 + 0.6*f + 0.1*rng.NormFloat64(), Accuracy: 0.6 - 0.4*f + 0.05*rng.NormFloat64(),
			Queries:  int64(step) * 3648,
			GradNorm: 3 + rng.NormFloat64()*0.5, LR: 1e-3 * (1 + math.Cos(math.Pi*float64(step)/1500)) / 2,
			Ratio: 0.75 + 0.3*f + 0.05*rng.NormFloat64()}
		if step == 700 {
			s.Loss = math.NaN()
		}
		r.Steps = append(r.Steps, s)
		if step%150 == 0 {
			r.Evals = append(r.Evals, EvalPoint{step, s.Queries, 0.55 - 0.35*f, 1.1 + 0.5*f, float64(step) / 10})
		}
		counts := make([]int, 64)
		for i := range counts {
			counts[i] = 2 * int(1+3*math.Exp((1-f)*rng.NormFloat64()))
		}
		r.Allocation = append(r.Allocation, SpreadOf(step, counts))
	}
	for k := range 12 {
		r.Hardest = append(r.Hardest, Tile{Image: picture(k), Label: "automobile", Path: "x.jpg", Loss: 6 - float64(k)/3})
	}
	return r
}

func sampleCompare() CompareReport {
	r := CompareReport{Title: "Arms at equal queries", Lead: "Three seeds, 300k queries each.", Config: sampleConfig,
		Env: sampleEnv}
	for k, name := range []string{"uniform", "gaussian", "gaussian_released", "bernoulli", "neyman",
		"one pair, more steps", "weight", "bp"} {
		a := Arm{Name: name, Accuracy: 0.5 + 0.01*float64(k), Lo: 0.48 + 0.01*float64(k), Hi: 0.52 + 0.01*float64(k),
			Seeds: 3, Queries: 3e5, FLOPs: 1.4e12, Seconds: 14 + float64(k), PeakMiB: 220,
			Difference: 0.01 * float64(k), DifferenceLo: 0.01*float64(k) - 0.005, DifferenceHi: 0.01*float64(k) + 0.005,
			P: 0.04 * float64(k), Loss: 1.1 - 0.02*float64(k), LossLo: 1.08, LossHi: 1.12, LossDiff: -0.02 * float64(k),
			LossDiffLo: -0.03 * float64(k), LossDiffHi: -0.01 * float64(k), LossP: 0.01 * float64(k),
			Set: []string{"allocator.name=" + name}}
		for q := 1; q <= 10; q++ {
			m := a.Accuracy - 0.3*math.Exp(-float64(q)/(2+float64(k)/3))
			a.Curve = append(a.Curve, CurvePoint{float64(q) * 3e4, m, m - 0.02, m + 0.02, float64(q) * a.Seconds / 10})
		}
		r.Arms = append(r.Arms, a)
	}
	for k, name := range []string{"queries", "operations", "seconds"} {
		e := EqualCost{Name: name, Limit: []float64{3e5, 1.4e12, 14}[k]}
		for _, a := range r.Arms {
			e.Accuracy, e.Loss = append(e.Accuracy, a.Accuracy), append(e.Loss, a.Loss)
		}
		e.Accuracy[7] = math.NaN()
		r.Equal = append(r.Equal, e)
	}
	r.Arms[6].PeakMiB = math.NaN()
	return r
}
