package train

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
)

// BenchmarkStep times a whole step of 64 images, one query an image and site of the
// last block, with everything kept that can be: the clean suffix, the queries, the
// gradient and the update; with nothing else, with the exact output layer, the
// surrogate and muon, and by backpropagation. It wants FLOPS_SHARED.
func BenchmarkStep(b *testing.B) {
	shared := os.Getenv("FLOPS_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	model := filepath.Join(shared, "models", "vit-cifar5")
	if _, err := os.Stat(model); err != nil {
		b.Skip("FLOPS_SHARED has no models/vit-cifar5")
	}
	for _, name := range []string{"plain", "surrogate", "bp"} {
		b.Run(name, func(b *testing.B) {
			c := config.Default()
			c.Model.Path, c.Data.Path = model, filepath.Join(shared, "data", "signs10")
			c.Estimator.Antithetic = false
			switch name {
			case "bp":
				c.Estimator.Name = "bp"
			case "surrogate":
				c.Estimator.Own = lr.ExactOutput.With(lr.Surrogate.With(c.Estimator.Own, "linear"), true)
				c.Optimizer.Name = "muon"
			}
			c.Allocator.Name, c.Allocator.MinQueries, c.Budget.QueriesPerImage = "uniform", 1, 1
			c.Train.Device = "cpu"
			x, err := Open(c, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer x.Close()
			t := NewTrainer(x)
			step := func() {
				if _, err := t.TakeStep(b.Context(), c.Train.BatchSize); err != nil {
					b.Fatal(err)
				}
			}
			for range x.Loader.StepsPerEpoch() + 1 { // the first epoch makes what is kept
				step()
			}
			for b.Loop() {
				step()
			}
		})
	}
}
