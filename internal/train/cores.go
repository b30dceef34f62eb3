package train

import (
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/directions"
	"github.com/flops-vit/flops/internal/lora"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// cores are the directions that cores of weights lie in.
type cores struct {
	by     map[int]lora.Directions // weight, of Model.Params
	spans  map[int]directions.Span // where noise is added to their maps, by site
	images int                     // whose clean pass said which directions
	heads  int                     // of the network's attentions
}

// of are those of weights.
func (c cores) of(weights []int) (out []lora.Directions) {
	for _, w := range weights {
		out = append(out, c.by[w])
	}
	return out
}

// openCores makes room for the directions of the chosen maps, in which noise at their
// outputs will lie, before the network is put on a device.
func (x *Experiment) openCores(n *vit.Net) error {
	c := x.Config
	if !parts.Is(c.Sites.Train, parts.Principal) {
		return nil
	}
	chosen, err := choose(c.Sites, n.Params(), n.Sites(), n.Blind)
	if err != nil {
		return err
	}
	x.cores = cores{by: map[int]lora.Directions{}, spans: map[int]directions.Span{}, heads: n.MostHeads()}
	noisy := lr.Is(c.Estimator.Name, lr.AtSites) && !slices.Contains(c.Sites.Kinds, "residual")
	r, weights := parts.Rank.Of(c.Sites.Own), slices.Concat(chosen.Groups...)
	for i, s := range n.Sites() {
		if !slices.Contains(weights, s.Weight) {
			continue
		}
		d := lora.Directions{Left: make([]float32, r*s.Out), Right: make([]float32, r*s.In)}
		x.cores.by[s.Weight] = d
		if noisy {
			n.Span(i, r)
			x.cores.spans[i] = directions.Span{Width: s.Out, Rows: d.Left}
		}
	}
	return nil
}

// Narrow leaves of the gradients by weights what the adapters beside them can follow.
func (x *Experiment) Narrow() { x.adapters.Narrow() }

// spans refuses a device that makes no noise in a few directions.
func (x *Experiment) spans() error {
	if len(x.cores.spans) == 0 {
		return nil
	}
	if m, ok := forward.As[interface{ Spans() bool }](x.Model); ok && m.Spans() {
		return nil
	}
	return uierr.New("sites.train: "+x.Config.Sites.Train+": noise in a few directions is made by the CPU alone",
		"set train.device: cpu, sites.kinds: [residual] with estimator.surrogate: local, or estimator.name: bp")
}
