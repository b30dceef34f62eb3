package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/optim"
)

// TestEnumsAreTheRegistries: a name that can be written is one that exists, and
// the other way round.
func TestEnumsAreTheRegistries(t *testing.T) {
	for key, names := range map[string][]string{"allocator.name": allocator.Names(), "estimator.name": lr.Names(),
		"objective.kind": objective.Names(), "optimizer.name": optim.Names()} {
		if got := slices.Sorted(slices.Values(Choices(key))); !slices.Equal(got, names) {
			t.Errorf("%s may be %v, registered are %v", key, got, names)
		}
	}
}

// TestOffer: what a registration adds is taken, and keeps the others' order.
func TestOffer(t *testing.T) {
	before := slices.Clone(ordered["objective.kind"])
	t.Cleanup(func() { ordered["objective.kind"] = before })
	path := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(path, []byte("data: {kind: shapes}\nobjective: {kind: top2}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil); err == nil {
		t.Fatal("an objective that is not there was taken")
	}
	Offer("objective.kind", "accuracy", "top2")
	if _, err := Load(path, nil); err != nil {
		t.Error(err)
	}
	if got := Choices("objective.kind"); !slices.Equal(got, append(before, "top2")) {
		t.Errorf("%v", got)
	}
}
