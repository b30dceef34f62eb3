package main

import (
	"context"
	"fmt"
	"io"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/ui"
)

// preflight prints what the run is going to take. A model that can only be
// called is not asked for it: its queries cost money.
func preflight(ctx context.Context, w io.Writer, x *train.Experiment, dir string, resume bool) error {
	if x.Local == nil || w == io.Discard {
		return nil
	}
	from := 0
	if resume {
		// A guess of the time must not stop a run: Run itself says what is wrong.
		if steps, err := (&checkpoint.Store{Run: dir}).Steps(); err == nil && len(steps) > 0 {
			from = steps[len(steps)-1]
		}
	}
	if from >= x.Config.Train.Steps {
		return nil
	}
	f, err := x.Preflight(ctx, from)
	if err != nil {
		return err
	}
	total := f.Total + x.Saving(dir, from)
	fmt.Fprintf(w, "forecast   %s memory, %s per step, %s to the end\n", ui.Bytes(f.Memory), ui.Duration(f.Step), ui.Forecast(total))
	return nil
}
