package optim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/forward"
)

// slots is one running tensor per parameter, zero at first.
type slots map[string][]float32

func (s slots) of(p *forward.Param) []float32 {
	v := s[p.Name]
	if len(v) != len(p.Data) {
		v = make([]float32, len(p.Data))
		s[p.Name] = v
	}
	return v
}

// named are the tensors as a checkpoint names them: PARAMETER.kind.
func (s slots) named(kind string) map[string][]float32 {
	out := map[string][]float32{}
	for name, v := range s {
		out[name+"."+kind] = v
	}
	return out
}

func (s slots) restore(kind string, t map[string][]float32) error {
	clear(s)
	for name, v := range t {
		if p, ok := strings.CutSuffix(name, "."+kind); ok {
			s[p] = slices.Clone(v)
		}
	}
	if len(s) == 0 && len(t) > 0 {
		return fmt.Errorf("optim: state has no %s; it is another optimizer's", kind)
	}
	return nil
}

// decay is the factor of decoupled weight decay.
func decay(p *forward.Param, o Options, lr float64) float32 {
	if !p.Decay {
		return 1
	}
	return float32(1 - lr*o.WeightDecay)
}
