package train

import (
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/network"
)

// TestSavedAsNormalized: the normalisation that a run was given is that of what it saves.
func TestSavedAsNormalized(t *testing.T) {
	c := tiny()
	c.Data.Mean, c.Data.Std = []float32{0.485, 0.456, 0.406}, []float32{0.25}
	x, err := Open(c, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	saved, err := (&network.Local{Config: x.Local.Config, Pre: x.Local.Model().Preprocessor}).Transform(config.Data{})
	if err != nil {
		t.Fatal(err)
	}
	mean, std := saved.Normalization()
	if !slices.Equal(mean, c.Data.Mean) || !slices.Equal(std, []float32{0.25, 0.25, 0.25}) {
		t.Errorf("saved with mean %v and std %v, trained with %v and %v", mean, std, c.Data.Mean, c.Data.Std)
	}
}
