package vit

import (
	"testing"

	"github.com/flops-vit/flops/internal/objective"
)

func crossEntropy(t testing.TB) objective.Objective {
	t.Helper()
	return objective.CE{}
}
