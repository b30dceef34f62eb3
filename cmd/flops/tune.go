package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/tune"
	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

type tuneFlags struct {
	configFlags
	o      tune.Options
	over   []string
	arms   string
	asJSON bool
}

func tuneCmd() *cobra.Command {
	var f tuneFlags
	c := &cobra.Command{
		Use: "tune --config FILE", Short: "Find the rate and other settings by trying them", Args: cobra.NoArgs,
		Long: `Tries values of settings in short runs, which are measured on the validation
split and never on the test split, and writes the experiment with those that
did best. The values of a setting are halved: all are tried for a few steps,
the better half goes on for twice as many, until two are left. One setting
comes after another. Without --over these are optimizer.lr and estimator.sigma,
from a tenth of what the experiment says to ten times that.

A try is the run in small: its schedule is shortened, and its rate is larger by
the root of how much shorter it is, since long runs want smaller rates. What is
shown and written is the whole run's. Since long runs that meet their images
often want still smaller ones, the search ends with at most --whole whole runs,
at the rate that was chosen so and at those beside it, the smaller one first.

All short tries together take at most --share of the queries of training that
the run itself would; evaluations are apart. With --arms each arm is tuned, with
as many tries as the others: where it asks no queries (bp) the rate is tried
more finely. A search that was stopped goes on when the same command is given
again.

--output gets best.yaml, which extends the experiment, or with --arms arms.yaml
for 'flops compare --arms'; tune.json; and the tries, each a run folder.`,
		Example: `  flops tune --config configs/cifar5.yaml --set data.validation=0.1
  flops tune --config configs/cifar5.yaml --set data.validation=0.1 \
    --share 0.5 --over optimizer.lr=1e-3,3e-3,1e-2 \
    --over optimizer.name=adamw,muon
  flops tune --config configs/cifar5.yaml --set data.validation=0.1 \
    --arms uniform,bp`,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.add(c)
	c.Flags().StringArrayVar(&f.over, "over", nil, "a setting with the values to try, KEY=VALUE,...; may be repeated")
	c.Flags().Float64Var(&f.o.Share, "share", 0.2, "of the run's queries of training that the short tries may take")
	c.Flags().IntVar(&f.o.Wholes, "whole", 3, "whole runs at the end, by which the rate is chosen; 0: none")
	c.Flags().StringVar(&f.o.By, "by", "loss", "what the validation split decides by: loss, accuracy or a metric")
	c.Flags().StringVar(&f.arms, "arms", "", "YAML file of arms, or names parted by commas, each to be tuned")
	c.Flags().StringVarP(&f.o.Dir, "output", "o", "", "folder (default runs/tune-NAME)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	offerList(c, "arms", compare.Names)
	return c
}

// plan resolves what is to be tried.
func (f *tuneFlags) plan() (*tune.Plan, error) {
	if f.path == "" {
		return nil, uierr.New("no experiment is named", "give --config FILE; configs/ has some")
	}
	var arms []compare.Arm
	if f.arms != "" {
		var err error
		if arms, err = compare.ReadArms(f.arms); err != nil {
			return nil, err
		}
	}
	for _, s := range f.over {
		a, err := tune.ParseAxis(s)
		if err != nil {
			return nil, err
		}
		f.o.Over = append(f.o.Over, a)
	}
	f.o.Config, f.o.Sets, f.o.Smoke, f.o.Device, f.o.Warn = f.path, f.sets, f.smoke, checkDevice, f.warn
	if f.device != "" {
		f.o.Sets = append(f.o.Sets, "train.device="+f.device)
	}
	f.o.Version = versionString()
	return tune.MakePlan(f.o, arms)
}

func (f *tuneFlags) run(c *cobra.Command) error {
	p, err := f.plan()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return uierr.Wrap(err, fmt.Sprintf("--output %s: %v", p.Dir, err), "name a folder that can be written")
	}
	lock, err := fsys.LockDir(p.Dir, f.warn)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	text := c.OutOrStdout()
	if f.asJSON {
		text = io.Discard
	}
	for _, s := range p.Searches {
		fmt.Fprintln(text, ofArm(s.Arm.Name, s.Describe()))
	}
	stop, done := catchSignals(f.warn)
	defer done()
	all, err := p.Do(c.Context(), stop.Load, tuneProgress(text))
	if errors.Is(err, tune.ErrStopped) {
		fmt.Fprintln(text)
		f.warn("stopped; the same command goes on where this one ended")
		return ui.ErrInterrupted
	}
	if err != nil {
		fmt.Fprintln(text)
		return err
	}
	path, err := p.Write(all)
	if err != nil {
		return err
	}
	if f.asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(p.Report(all))
	}
	return printTuned(text, all, path)
}

// ofArm puts the name of an arm before a text, where there is one.
func ofArm(arm, text string) string {
	if arm == "" {
		return text
	}
	return arm + ": " + text
}

// tuneProgress shows a line for every run of a search.
func tuneProgress(w io.Writer) tune.Progress {
	return func(n, of int, s *tune.Search, t *tune.Try, done bool) {
		switch {
		case !done:
			fmt.Fprintf(w, "%*d/%d  %-50s ", len(fmt.Sprint(of)), n, of, ofArm(s.Arm.Name, strings.Join(t.Sets, " ")))
		case t.Eval == nil:
			fmt.Fprintf(w, "diverged: %s\n", t.Diverged)
		default:
			e, at := t.Now()
			fmt.Fprintf(w, "loss %.4f, %s\n", e.Loss(), ui.Plural(at, "step", "steps"))
		}
	}
}

// printTuned is the table of each search and what was chosen.
func printTuned(w io.Writer, all []tune.Outcome, path string) error {
	for _, o := range all {
		t := &ui.Table{Head: []string{"try", "steps", "loss", "score"}}
		for _, x := range o.Tries {
			loss, score := "-", "diverged"
			if x.Eval != nil {
				loss, score = fmt.Sprintf("%.4f", x.Eval.Loss()), fmt.Sprintf("%.4f", x.Eval.Score())
			}
			t.Add(ofArm(o.Arm.Name, strings.Join(x.Sets, " ")), x.Step, loss, score)
		}
		fmt.Fprintln(w)
		if err := t.Print(w); err != nil {
			return err
		}
		fmt.Fprintf(w, "chosen %s; %s of %s queries, %.1f%%\n", strings.Join(o.Best.Sets, " "), ui.Count(o.Queries),
			ui.Count(o.Whole), 100*float64(o.Queries)/float64(o.Whole))
		for _, e := range o.Ends() {
			fmt.Fprintln(w, e)
		}
	}
	_, err := fmt.Fprintf(w, "\nsteps, loss and score are those of the validation split when a try was last measured\n"+
		"written %s\n", path)
	return err
}
