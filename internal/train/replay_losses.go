package train

import (
	"fmt"

	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
)

// losses are what a run logged, by step: a replay that has others makes other weights,
// and does not do so in silence.
type losses struct {
	of   map[int]float64
	told bool
}

// loggedLosses reads those of a run folder; what cannot be read is not compared, since a
// replay does without.
func loggedLosses(dir string) *losses {
	l := &losses{of: map[int]float64{}}
	_ = runs.EachStep(dir, func(m *runs.StepMetrics, bad error) error {
		if bad == nil && m.Step > 0 {
			l.of[m.Step] = m.Loss
		}
		return nil
	})
	return l
}

// agree compares the step that was replayed last. In bf16, whose kernels all have the
// same bits, another loss is an error; in float32 it is told once.
func (l *losses) agree(t *Trainer) error {
	was, ok := l.of[t.Step]
	if !ok || t.last == nil {
		return nil
	}
	now := mean(t.last.Clean.Losses)
	if now == was || l.told {
		return nil
	}
	line := fmt.Sprintf("step %d: the run's loss was %v, and the replay has %v: ", t.Step, was, now)
	if t.X.form() != "" {
		return uierr.New(line+"another version of flops multiplied in bf16 otherwise",
			"replay with the version that env.json names")
	}
	l.told = true
	t.X.warn(line + "the weights are not the same to the bit")
	return nil
}
