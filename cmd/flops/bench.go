package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/flops-vit/flops/internal/bench"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/spf13/cobra"
)

func benchCmd() *cobra.Command {
	o := bench.Options{Arch: vit.Arch{Chans: 3, Eps: 1e-12}}
	var asJSON, peak bool
	var profile string
	c := &cobra.Command{
		Use: "bench", Short: "Time the engine at given shapes", Args: cobra.NoArgs,
		Long: `Times forwards, queries or updates on random images. A query is one forward of
one image; an antithetic pair is two. The numbers are the median of --steps
steps after one that is not counted.

  forward  forwards of a batch
  lr       one update by activation noise at query, key, value and attention
           output of the last --tune blocks and at the classifier
  spsa     one update by noise on every parameter
  bp       one update by backpropagation
  gemm     a table of matrix products beside OpenBLAS, where it is installed`,
		RunE: func(c *cobra.Command, _ []string) error {
			stop, err := cpuProfile(profile)
			if err != nil {
				return err
			}
			defer stop()
			if o.Device, err = device.Settle(o.Device); err != nil {
				return err
			}
			if o.Mode == "gemm" && o.Device != device.CPU {
				return uierr.New("--device "+o.Device+": --mode gemm times the processor's matrix products alone",
					"leave out --device")
			}
			w := c.OutOrStdout()
			if o.Threads <= 0 {
				o.Threads = runtime.GOMAXPROCS(0)
			}
			if o.Mode == "gemm" {
				r, err := bench.Gemm(o.Threads, o.Steps)
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(w).Encode(r)
				}
				return r.Print(w)
			}
			r, err := bench.Run(c.Context(), o)
			if err != nil {
				return err
			}
			if peak && o.Device == device.CPU {
				r.AgainstPeak(bench.Peak(o.Threads, o.Precision == vit.BF16))
			}
			if asJSON {
				return json.NewEncoder(w).Encode(r)
			}
			return r.Print(w)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Mode, "mode", "forward", "forward, lr, spsa, bp or gemm")
	f.IntVar(&o.Arch.Hidden, "dim", 128, "hidden size")
	f.IntVar(&o.Arch.Layers, "depth", 6, "blocks")
	f.IntVar(&o.Arch.Heads, "heads", 4, "attention heads")
	f.IntVar(&o.Arch.MLP, "mlp", 512, "feed-forward size")
	f.IntVar(&o.Arch.Image, "image", 32, "pixels of a side")
	f.IntVar(&o.Arch.Patch, "patch", 4, "pixels of a patch's side")
	f.IntVar(&o.Arch.Classes, "classes", 5, "classes")
	f.IntVar(&o.Batch, "batch", 64, "images of a batch")
	f.IntVar(&o.Queries, "queries", 20, "queries per image (and site)")
	f.IntVar(&o.Tune, "tune", 1, "lr: blocks that are perturbed, from the last")
	f.IntVar(&o.Threads, "threads", 0, "workers, 0: every core")
	f.IntVar(&o.Steps, "steps", 3, "timed steps")
	addDevice(c, &o.Device, device.CPU)
	f.StringVar(&o.Precision, "precision", "fp32", "of matrix products: fp32, bf16, or tf32 of a GPU")
	f.BoolVar(&asJSON, "json", false, "print one JSON line")
	f.BoolVar(&peak, "peak", true, "also measure a large matrix product, as the machine's limit")
	offer(c, "mode", append(bench.Modes(), "gemm")...)
	offer(c, "precision", config.Choices("train.precision")...)
	f.StringVar(&profile, "cpuprofile", "", "write a CPU profile to this file")
	return c
}

// cpuProfile profiles to a file until the function it returns is called.
func cpuProfile(path string) (func(), error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--cpuprofile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("--cpuprofile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}
