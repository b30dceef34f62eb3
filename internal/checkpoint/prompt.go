package checkpoint

import (
	"path/filepath"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
)

// LoadPrompt is hf.LoadPrompt for a run's checkpoint too, which is verified. "last"
// and "best" are those of a run (Pointed).
func LoadPrompt(dir string) (*hf.Model, error) {
	dir, err := Pointed(dir)
	if err != nil {
		return nil, err
	}
	if fsys.Exists(filepath.Join(dir, manifestName)) {
		if _, err := verify(dir); err != nil {
			return nil, refuse(dir, err)
		}
	}
	return hf.LoadPrompt(dir)
}
