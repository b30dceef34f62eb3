package network

import (
	"fmt"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/hf"
)

// LoadProjection is LoadLocal for a network whose classifier is a projection to
// embeddings: it is drawn anew unless it has that width already.
func LoadProjection(dir string, width int, prompts Tokens, seed uint64) (*Local, error) {
	dir, err := checkpoint.Pointed(dir)
	if err != nil {
		return nil, err
	}
	m, err := hf.LoadWhole(dir)
	if err != nil {
		return nil, err
	}
	labels := m.Config.Labels
	switch {
	case m.Classes() == 0 && m.Config.Headless() && m.Config.Architecture(0, 0).Outputs() == width:
		labels = nil // the projection that there is
	case m.Classes() != width:
		labels = ProjectionLabels(width)
	}
	return fromModel(m, labels, prompts, seed)
}

// ProjectionLabels name the outputs of a projection where a model has the names
// of its classes.
func ProjectionLabels(width int) []string {
	out := make([]string, width)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", projectionPrefix, i)
	}
	return out
}

const projectionPrefix = "embedding_"

// IsProjection says whether the outputs of a network are a projection to
// embeddings: its family's, or one that a contrastive run made.
func (l *Local) IsProjection() bool {
	if l.Bare {
		return l.Config.Projected > 0
	}
	return len(l.Config.Labels) > 0 && l.Config.Labels[0] == projectionPrefix+"0"
}

// Projections says whether a model folder or a checkpoint has a projection of its
// own, and whether its classifier is one that a contrastive run made.
func Projections(path string) (own, made bool, err error) {
	if path, err = checkpoint.Pointed(path); err != nil {
		return false, false, err
	}
	s, err := hf.Inspect(path)
	if err != nil {
		return false, false, err
	}
	return s.Projected > 0, len(s.Labels) > 0 && s.Labels[0] == projectionPrefix+"0", nil
}
