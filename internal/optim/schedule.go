package optim

import (
	"fmt"
	"math"

	"github.com/flops-vit/flops/internal/uierr"
)

// Schedule is the learning rate over a run.
type Schedule struct {
	Kind   string  // constant | cosine | step
	LR     float64 // the rate after the warm-up
	MinLR  float64 // cosine: the rate at the end
	Warmup int     // steps of a linear rise from 0
	Steps  int     // length of the run
	Every  int     // step: steps between two drops
	Gamma  float64 // step: factor of a drop
}

// Schedules lists the kinds.
func Schedules() []string { return []string{"constant", "cosine", "step"} }

// Check refuses an unknown kind.
func (s Schedule) Check() error {
	for _, k := range Schedules() {
		if s.Kind == k {
			return nil
		}
	}
	return uierr.New(fmt.Sprintf("optimizer.schedule: no schedule %q", s.Kind), fmt.Sprintf("known: %v", Schedules()))
}

// Bounded says whether the rate depends on the length of the run.
func (s Schedule) Bounded() bool { return s.Kind == "cosine" }

// At is the rate of a step, counted from 0.
func (s Schedule) At(step int) float64 {
	if step < s.Warmup {
		return s.LR * float64(step+1) / float64(s.Warmup)
	}
	switch s.Kind {
	case "cosine":
		n := max(1, s.Steps-s.Warmup)
		x := min(1, float64(step-s.Warmup)/float64(n))
		return s.MinLR + (s.LR-s.MinLR)*(1+math.Cos(math.Pi*x))/2
	case "step":
		return s.LR * math.Pow(s.Gamma, float64(step/max(1, s.Every)))
	}
	return s.LR
}
