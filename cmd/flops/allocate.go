package main

import (
	"maps"
	"strings"

	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/pipe"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

func allocateCmd() *cobra.Command {
	var name string
	var p pipe.Options
	usual := config.Origin()
	o := allocator.Options{}
	var own func() settings.Values
	c := &cobra.Command{
		Use: "allocate", Args: cobra.NoArgs,
		Short: "Share out the queries of another program, through a pipe",
		Long: `Reads a line of JSON about a batch on standard input and writes one with the
queries of each of its items on standard output, until the input ends. The
allocator lives as long as the command and learns from what is fed back:

  in   {"losses": [0.1, 2.3, 0.9], "ids": [7, 1, 4]}
  out  {"step":0,"counts":[6,10,8]}
  in   {"feedback": {"variance": [0.2, 3, 1]}, "losses": [0.4, 1.2, 2.0]}
  out  {"step":1,"counts":[4,8,12],"ratio":0.91}

"losses" are the clean losses. "ids" (numbers of the items in their dataset),
"features" (a row per item), and "surprise" or "logits" with "labels" help the
allocators that look at them. "feedback" is of the step before: "variance", or
the "coefficients" of each item's queries, (loss+ - loss-)/(2 sigma) of a pair.
"ratio" is the variance of that step's gradient against equal shares. A line may
say its "budget", "step" and "epoch". docs/protocol.md has the rest,
examples/allocate.py a loop that trains.`,
		Example: "  python3 examples/allocate.py --flops bin/flops --allocator neyman",
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case p.Budget < 0 || p.PerItem < 0:
				return uierr.New("a budget below 0", "give --budget or --queries-per-item a number of queries")
			case p.Budget > 0 && p.PerItem > 0:
				return uierr.New("--budget and --queries-per-item are both given", "leave one of them out")
			}
			o.Warn, o.Own = warner(c), own()
			o.Named = func(option string) string {
				if option == "name" {
					option = "allocator"
				}
				return "--" + flagOf(option)
			}
			a, err := allocator.New(name, o)
			if err != nil {
				return err
			}
			p.Allocator = a
			return pipe.Run(c.InOrStdin(), c.OutOrStdout(), p)
		},
	}
	f, d := c.Flags(), usual.Allocator
	f.StringVar(&name, "allocator", d.Name, "who shares out: "+strings.Join(config.Choices("allocator.name"), ", "))
	offer(c, "allocator", config.Choices("allocator.name")...)
	f.IntVar(&p.Budget, "budget", 0, "queries of a step, where the line does not say")
	f.IntVar(&p.PerItem, "queries-per-item", 0, "queries of a step for each item of its batch, in place of --budget")
	f.IntVar(&o.MinQueries, "min-queries", d.MinQueries, "every item gets at least so many")
	f.BoolVar(&o.Even, "antithetic", usual.Estimator.Antithetic, "counts are even, for pairs")
	f.Uint64Var(&p.Seed, "seed", 0, "seed of everything that is drawn")
	offered := maps.Clone(d.Own)
	offered["features"] = "loss" // most lines have none
	own = settingFlags(c, allocator.Settings(), offered)
	f.BoolVar(&o.Fallback, "fallback", d.Fallback, "equal shares once the measured gain over --window is not positive")
	f.IntVar(&o.Window, "window", d.Window, "steps over which the gain is measured")
	return c
}
