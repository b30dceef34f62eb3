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

// TestEnumsForget: a name in the readers' order whose implementation is gone is no
// choice.
func TestEnumsForget(t *testing.T) {
	for _, key := range implemented {
		before := ordered[key]
		ordered[key] = append(slices.Clone(before), "gone")
		if slices.Contains(Choices(key), "gone") {
			t.Errorf("%s: an implementation that is not there is a choice", key)
		}
		ordered[key] = before
	}
}

// TestOffer: what a registration adds is taken, and keeps the others' order.
func TestOffer(t *testing.T) {
	before := slices.Clone(ordered["data.kind"])
	t.Cleanup(func() { ordered["data.kind"] = before })
	path := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(path, []byte("data: {kind: boxes, path: somewhere}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil); err == nil {
		t.Fatal("a kind that is not there was taken")
	}
	Offer("data.kind", "shapes", "boxes")
	if _, err := Load(path, nil); err != nil {
		t.Error(err)
	}
	if got := Choices("data.kind"); !slices.Equal(got, append(before, "boxes")) {
		t.Errorf("%v", got)
	}
}
