package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/journal"
	"github.com/flops-vit/flops/internal/journal/steps"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

func journalCmd() *cobra.Command {
	return &cobra.Command{
		Use: "journal DIR", Short: "Print the journal of a run, a line per step", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, a []string) error {
			j, err := journal.Open(filepath.Join(a[0], "journal.bin"))
			if err != nil {
				return err
			}
			defer j.Close()
			for {
				r, err := j.Next()
				var torn *journal.TornError
				if errors.Is(err, io.EOF) || errors.As(err, &torn) {
					return nil
				}
				if err != nil {
					return err
				}
				if r.Kind == journal.KindStep {
					s, err := steps.Decode(r)
					if err != nil {
						return err
					}
					fmt.Fprintln(c.OutOrStdout(), stepLine(s))
				}
			}
		},
	}
}

// stepLine is one step of a journal.
func stepLine(s *steps.Record) string {
	lo, hi, sum := uint32(0), uint32(0), uint64(0)
	for i, n := range s.Counts {
		if i == 0 || n < lo {
			lo = n
		}
		hi = max(hi, n)
		sum += uint64(n)
	}
	c, passes := 0, 0
	for _, p := range s.Parts {
		if c += len(p.Coefs); p.Perturbation.Kind != forward.Outputs {
			passes++
		}
	}
	return fmt.Sprintf("step %d  seed %d  images %d  queries %d (%d to %d each)  passes %d  coefficients %d",
		s.Step, s.Seed, len(s.Images), sum, lo, hi, passes, c)
}

func replayCmd() *cobra.Command {
	var to int
	var output string
	c := &cobra.Command{
		Use: "replay DIR --to STEP", Short: "Rebuild the weights after any step of a run from its journal", Args: cobra.ExactArgs(1),
		Long: `Starts from the run's first checkpoint and applies the journal: a clean pass per
step, the recorded coefficients, and noise from the counter. No query is asked,
and the weights are those of the run, bit for bit.`,
		Example: "  flops replay runs/demo --to 40 --output step-40",
		RunE: func(c *cobra.Command, a []string) error {
			if to < 0 {
				return uierr.New("--to: no step "+strconv.Itoa(to), "give the number of updates, from 0")
			}
			f := configFlags{path: filepath.Join(a[0], "config.yaml")}
			cfg, err := f.load()
			if err != nil {
				return err
			}
			x, err := train.Open(cfg, func(string) {})
			if err != nil {
				return err
			}
			defer x.Close()
			t, err := train.Replay(c.Context(), x, a[0], to)
			if err != nil {
				return err
			}
			if output == "" {
				output = filepath.Join(a[0], "replay", fmt.Sprintf("step-%d", to))
			}
			if err := hf.Save(fsys.OS, output, x.Saved(), safetensors.F32); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "step %d rebuilt in %s\n", t.Step, output)
			return err
		},
	}
	c.Flags().IntVar(&to, "to", 0, "updates to rebuild")
	c.Flags().StringVarP(&output, "output", "o", "", "model folder to write (default DIR/replay/step-N)")
	return c
}
