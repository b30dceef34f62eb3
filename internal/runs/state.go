package runs

import (
	"fmt"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/fsys"
)

// State is what a checkpoint carries besides weights and the optimizer's
// tensors.
type State struct {
	Ledger    *Ledger   `json:"ledger"`
	Estimator []float64 `json:"estimator,omitempty"`
	Allocator []byte    `json:"allocator,omitempty"`
	Factor    float64   `json:"lr_factor"`
	Rollbacks int       `json:"rollbacks"`
	FirstLoss float64   `json:"first_loss"`
	Best      *Eval     `json:"best,omitempty"`
	LastEval  *Eval     `json:"last_eval,omitempty"`
	Epoch     Epoch     `json:"epoch"`
	Metrics   int64     `json:"metrics_bytes"`
	Summary   int64     `json:"summary_bytes"`
	Journal   int64     `json:"journal_bytes"`
	Lost      int64     `json:"lost_answers,omitempty"` // of a called model, that the ledger holds
	EvalStep  int       `json:"eval_step"`
	Clock     int64     `json:"clock_bytes,omitempty"`
	Seconds   float64   `json:"clock_seconds,omitempty"` // of training

	// Only where there is a validation split.
	LastValidation *Eval     `json:"last_validation,omitempty"`
	ValidationStep int       `json:"validation_step,omitempty"`
	BestTest       *BestEval `json:"best_test,omitempty"`
}

// StateOf reads the state of a checkpoint.
func StateOf(c *checkpoint.Checkpoint) (*State, error) {
	var s State
	if err := c.ReadState(&s); err != nil {
		return nil, err
	}
	if s.Ledger == nil {
		return nil, fmt.Errorf("runs: checkpoint of step %d has no ledger", c.Step)
	}
	return &s, nil
}

// LastState is what the last sound checkpoint of a run says, and its step.
func LastState(dir string) (*State, int, error) {
	c, _, err := (&checkpoint.Store{Disk: fsys.OS, Run: dir}).Latest()
	if err != nil {
		return nil, 0, err
	}
	s, err := StateOf(c)
	return s, c.Step, err
}
