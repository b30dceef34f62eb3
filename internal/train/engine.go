package train

import (
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/cuda"
	"github.com/flops-vit/flops/internal/noise"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/vit"
)

// engine puts a network on the device that a config names. The estimators and
// the loop see a query.Model either way.
func engine(c config.Config, n *vit.Net, src noise.Source, loss objective.Objective, warn func(string)) (query.Model, error) {
	if !strings.HasPrefix(c.Train.Device, "cuda") {
		return vit.NewModel(n, vit.Options{Threads: Threads(c), Noise: src, Loss: loss, Mask: c.Estimator.StructuralMask}), nil
	}
	dirs, err := cuda.NoiseOf(c.Estimator.Noise, c.Estimator.QMC, uint64(c.Train.Seed))
	if err != nil {
		return nil, err
	}
	m, err := cuda.Open(c.Train.Device, n, cuda.Options{Noise: dirs, Loss: loss, Mask: c.Estimator.StructuralMask,
		Precision: cuda.Precision(c.Train.Precision)})
	if err != nil {
		return nil, err
	}
	if s := m.Note(); s != "" && warn != nil {
		warn(s)
	}
	return m, nil
}
