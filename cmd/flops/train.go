package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/pages"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

func trainCmd() *cobra.Command {
	var f configFlags
	var output, resume string
	var force bool
	var cl clusterFlags
	c := &cobra.Command{
		Use: "train --config FILE", Short: "Train a model by forward passes", Args: cobra.NoArgs,
		Long: `Trains as an experiment says, and writes a run folder: the config as it was
resolved, metrics, the count of every query, a journal and checkpoints. Before
the first step it says how much memory and time the run will take.

--resume goes on where the last checkpoint stands, also with a run that has
ended; --set may then change how long the run is and how it is computed and
watched, and what else it would change is refused. An interrupt saves the step
that is under way and prints the command that goes on.`,
		Example: `  flops train --config configs/cifar5.yaml
  flops train --config configs/cifar5.yaml --set train.steps=10 -o runs/try
  flops train --resume runs/try
  flops train --resume runs/try --set train.steps=20
  flops train --config configs/cifar5.yaml --cluster embedded`,
		RunE: func(c *cobra.Command, _ []string) error {
			format, _ := c.Flags().GetString("log-format")
			if resume != "" {
				if f.path != "" {
					return uierr.New("--config and --resume name two experiments",
						"a run folder holds its own config; leave --config out")
				}
				f.path, output = filepath.Join(resume, "config.yaml"), resume
				if _, err := os.Stat(f.path); err != nil {
					return uierr.Wrap(err, fmt.Sprintf("%s is no run folder: it has no config.yaml", resume),
						"give --resume a folder that 'flops train' wrote")
				}
			}
			if resume != "" { // before the config is read, which its holder may be about to change
				lock, err := fsys.LockDir(resume, warner(c))
				if err != nil {
					return err
				}
				defer lock.Unlock()
			}
			f.sets = append(f.sets, cl.sets()...)
			cfg, err := f.load()
			if err != nil {
				return err
			}
			j := trainJob{cfg: cfg, sets: f.sets, dir: output, resume: resume != "", force: force, format: format,
				metrics: cl.metrics}
			if j.resume {
				if j.changes, err = train.Changes(resume, cfg); err != nil {
					return err
				}
			}
			return j.run(c)
		},
	}
	f.add(c)
	cl.add(c, "share the queries out: embedded, or addresses of NATS servers")
	c.Flags().StringVarP(&output, "output", "o", "", "run folder (default runs/NAME, numbered when taken)")
	c.Flags().StringVar(&resume, "resume", "", "go on with the run in this folder")
	c.Flags().BoolVar(&force, "force", false, "--resume: go on though the data changed since the run began")
	return c
}

// trainJob is a run to begin or to go on with.
type trainJob struct {
	cfg     config.Config
	sets    []string // what it was set by
	dir     string
	resume  bool
	force   bool
	changes []config.Difference // of a resumed run
	format  string
	metrics string // address of /metrics; empty: nowhere
}

// run trains in a run folder.
func (j *trainJob) run(c *cobra.Command) error {
	cfg, dir, resume, format := j.cfg, j.dir, j.resume, j.format
	w := c.OutOrStdout()
	text := w
	if format == "json" {
		text = io.Discard
	}
	warn := warner(c)
	x, err := train.Open(cfg, warn)
	if err != nil {
		return err
	}
	defer x.Close()
	if resume {
		if err := x.Continue(dir, versionString(), j.changes, j.force); err != nil {
			return err
		}
	} else {
		if err := x.CheckBudget(); err != nil {
			return err
		}
		var lock *fsys.Lock
		if dir, lock, err = newRunFolder(dir, cfg.Name, warn); err != nil {
			return err
		}
		defer lock.Unlock()
		if err := writeRunFiles(x, dir); err != nil {
			return err
		}
	}
	printPlan(text, x, dir, j.sets)
	view := pages.NewTerminal(w, format, cfg.Train.Steps, warn)
	log := pages.OpenLog(dir, warn, view)
	defer log.Close()
	log.Line("flops %s: %s", versionString(), strings.Join(os.Args[1:], " "))
	tighten()
	if err := preflight(c.Context(), text, x, dir, resume); err != nil {
		return err
	}
	tighten()
	stop, done := catchSignals(warn)
	defer done()
	board := pages.OpenTensorBoard(dir, cfg.Train.TensorBoard, cfg, log.Warned, log)
	defer board.Close()
	o := train.RunOptions{Dir: dir, Resume: resume, Watch: board, Stop: stop.Load, Each: board.Each}
	out, err := j.train(c.Context(), text, x, o)
	view.Done()
	if err != nil {
		log.Line("error: %v", err)
		return err
	}
	log.Line("ended after step %d%s", out.Step, strings.TrimSuffix(" ("+out.Stopped+")", " ()"))
	if out.Stopped == "interrupted" {
		warn(fmt.Sprintf("stopped after step %d; everything is saved in %s", out.Step, out.Dir))
		warn(fmt.Sprintf("go on with: flops train --resume %s", dir))
		return ui.ErrInterrupted
	}
	if out.Stopped != "" {
		fmt.Fprintf(text, "stopped after step %d: %s\n", out.Step, out.Stopped)
	}
	printOutcome(text, out, cfg.Checkpoint.BestMetric)
	fmt.Fprintf(text, "checkpoint %s\n", out.Dir)
	return nil
}

// printOutcome says what the run came to: the split that it was followed by with
// the best of it by that metric, then the test split where that is another one.
func printOutcome(w io.Writer, out *train.Outcome, by string) {
	line := func(split string, e *runs.Eval, note string) {
		fmt.Fprintf(w, "%s %.4f%s, loss %.4f%s on %d images\n", e.Measure(split), e.Score(), note, e.Loss(),
			e.More(), e.Images)
	}
	best := ""
	if out.Best != nil {
		best = fmt.Sprintf(" (best%s %.4f)", bestBy(out.Best, by), out.Best.Score())
	}
	if out.Validation != nil {
		line(data.Validation, out.Validation, best)
		best = ""
	}
	if out.Eval != nil {
		line(data.Test, out.Eval, best)
	}
	if b := out.BestTest; b != nil {
		line(runs.BestOnTest, &b.Eval, fmt.Sprintf(" (step %d)", b.Step))
	}
}

// bestBy says by which metric an evaluation was the best, where that is not the
// score.
func bestBy(e *runs.Eval, by string) string {
	if by == "" || by == e.Goal {
		return ""
	}
	o := e.All().Of(by).Ones()
	if len(o) == 0 {
		return ""
	}
	return " by " + o[0].Title + ", " + o[0].Text() + ":"
}
