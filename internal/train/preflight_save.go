package train

import (
	"path/filepath"
	"time"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/safetensors"
)

// probeFolder is where a checkpoint is written to see how long it takes.
const probeFolder = ".forecast"

// Saving is the time of the checkpoints that checkpoint.every asks for after
// from updates: that of one, written into a folder inside dir and removed again,
// times their number. It is 0 where none is due and where none can be written,
// which the run itself will tell.
func (x *Experiment) Saving(dir string, from int) time.Duration {
	c := x.Config
	every := c.Checkpoint.Every
	if every == 0 {
		return 0
	}
	n := c.Train.Steps/every - from/every
	if n <= 0 {
		return 0
	}
	s := &checkpoint.Store{Disk: fsys.OS, Run: filepath.Join(dir, probeFolder)}
	defer func() { _ = s.Disk.RemoveAll(s.Run) }() // what a guess leaves behind harms nothing
	one := &checkpoint.Checkpoint{Model: x.Saved(), State: runs.State{}}
	for _, p := range x.Trained { // an optimizer remembers about so much
		for _, of := range []string{"m.", "v."} {
			one.Optimizer = append(one.Optimizer, safetensors.Tensor{Name: of + p.Name, Shape: p.Shape, Data: p.Data})
		}
	}
	if err := s.Disk.MkdirAll(s.Run); err != nil {
		return 0
	}
	began := time.Now()
	if err := s.Save(one, false); err != nil {
		return 0
	}
	return time.Duration(n) * time.Since(began)
}
