package runs

import "github.com/flops-vit/flops/internal/settings"

// StepMetrics is one line of metrics.jsonl. It holds nothing that depends on
// the clock, so that a resumed run writes the same lines.
type StepMetrics struct {
	Step     int             `json:"step"` // updates made, counted from 1
	Epoch    int             `json:"epoch"`
	Loss     float64         `json:"loss"`     // of the batch, before the update
	Accuracy float64         `json:"accuracy"` // of the batch, before the update
	GradNorm float64         `json:"grad_norm"`
	LR       float64         `json:"lr"`
	Queries  int64           `json:"queries"` // of the run so far, every purpose
	MinShare int             `json:"queries_min"`
	MaxShare int             `json:"queries_max"`
	Ratio    float64         `json:"variance_ratio,omitempty"` // Σ V̂_i/n_i over the same at equal shares
	Alloc    settings.Floats `json:"allocator,omitempty"`      // learned parameters, named by Learned
	// Residual is the running Σr²/Σc² that a surrogate leaves at each site that it
	// predicts at, and Unused names those where its predictions stay out of the gradient.
	Residual map[string]float64 `json:"residual,omitempty"`
	Unused   []string           `json:"surrogate_unused,omitempty"`

	// Cosine is that of the step's gradient to backpropagation's of the same batch, by
	// block, where train.cosine asks for it and the step is one that is measured after.
	Cosine map[string]float64 `json:"cosine,omitempty"`

	// What else has learned parameters, the same.
	Estimator settings.Floats `json:"estimator,omitempty"`
	Objective settings.Floats `json:"objective,omitempty"`
	Optimizer settings.Floats `json:"optimizer,omitempty"`

	Validation *Eval     `json:"validation,omitempty"` // of the validation split
	Eval       *Eval     `json:"eval,omitempty"`       // of the test split
	Best       *BestEval `json:"best,omitempty"`       // the best checkpoint on the test split, at the run's end
}

// Evaluated says whether a split was measured after the step.
func (m *StepMetrics) Evaluated() bool { return m.Validation != nil || m.Eval != nil }
