package device

import (
	"github.com/flops-vit/flops/internal/cuda"
	"github.com/flops-vit/flops/internal/vit"
)

func init() {
	Register("cuda", Kind{Available: cuda.Available, Open: openCUDA,
		Hint: "use --device cpu, or a build by 'make build-gpu' on a machine with an NVIDIA driver"})
}

func openCUDA(spec string, n *vit.Net, o Options) (Model, error) {
	opt := cuda.Options{Loss: o.Loss, Mask: o.Mask, Exact: o.Exact, Precision: cuda.Precision(o.Precision)}
	if o.Noise != nil {
		var err error
		if opt.Noise, err = cuda.NoiseOf(o.Noise.Kind, o.Noise.QMC, o.Noise.Seed); err != nil {
			return nil, err
		}
	}
	m, err := cuda.Open(spec, n, opt)
	if err != nil {
		return nil, err
	}
	if s := m.Note(); s != "" && o.Warn != nil {
		o.Warn(s)
	}
	return m, nil
}
