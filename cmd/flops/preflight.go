package main

import (
	"context"
	"fmt"
	"io"

	"github.com/flops-vit/flops/internal/bench"
	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/uierr"
)

// preflight prints what the run is going to take. A model that can only be
// called is not asked for it: its queries cost money.
func preflight(ctx context.Context, w io.Writer, x *train.Experiment, dir string, resume bool) error {
	if x.Local == nil || x.Words() != nil || w == io.Discard {
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
	memory := ui.Bytes(f.Memory) + " memory"
	if f.Device > 0 {
		memory += ", " + ui.Bytes(f.Device) + " of the device's"
	}
	fmt.Fprintf(w, "forecast   %s, %s per step, %s to the end\n", memory, ui.Duration(f.Step), ui.Forecast(total))
	if n := x.Faster(); n >= 1.2 {
		fmt.Fprintf(w, "faster     this machine has %s: train.precision: bf16 would be about %.1f times as fast\n",
			kernel.HalfUnit(), n)
	}
	limit, by := bench.MemoryLimit()
	return fits(f.Memory, limit, by)
}

// fits refuses a run before its first step that the system would kill in the
// middle: of memory that is not given Go's runtime tells in its own way, and a
// control group in none. A limit of 0 is none.
func fits(memory, limit int64, by string) error {
	if limit == 0 || memory <= limit {
		return nil
	}
	return uierr.New(fmt.Sprintf("the run needs about %s of memory, and %s allows %s", ui.Bytes(memory), by,
		ui.Bytes(limit)),
		"raise the limit, or set a smaller train.batch_size or fewer sites, or train.threads: 1")
}
