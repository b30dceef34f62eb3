package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/flops-vit/flops/internal/cluster"
	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/pages"
	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

type compareFlags struct {
	configFlags
	arms   string
	o      compare.Options
	shared clusterFlags
	asJSON bool
}

func compareCmd() *cobra.Command {
	var f compareFlags
	c := &cobra.Command{
		Use: "compare --config FILE --arms FILE|LIST", Short: "Compare several settings at equal queries, over several seeds",
		Args: cobra.NoArgs,
		Long: `Trains an experiment once per arm and seed, each run in a process of its own and
at an equal number of queries of training: those of clean passes and of the
allocator count, evaluations are apart. An arm with match: flops (bp) gets equal
floating-point operations instead, one with match: steps equal steps. Prints and
saves the mean test accuracy with its 95% interval, the difference to the first
arm over the same seeds, and what it took. A comparison that was stopped goes on
when the same command is given again.

--cluster has 'flops worker' on other machines train whole runs, too, each with
its own copy of the data; a run that was begun here goes on here.

--output gets compare.json, compare.csv, curves.png, report.html and, in a
folder per arm, the runs.

Arms are a YAML file (configs/arms/) or names:
  ` + lines(compare.Names(), 76, "  "),
		Example: `  flops compare --config configs/cifar5.yaml --arms configs/arms/paper.yaml
  flops compare --config configs/cifar5.yaml --arms uniform,neyman,bp`,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.add(c)
	f.shared.add(c, "share the runs out: embedded, or addresses of NATS servers")
	c.Flags().StringVar(&f.arms, "arms", "", "YAML file of arms, or names parted by commas")
	c.Flags().IntVar(&f.o.Seeds, "seeds", 3, "runs per arm: train.seed and those after it")
	c.Flags().Int64Var(&f.o.Queries, "queries", 0, "queries of training per run (default what the experiment takes)")
	c.Flags().IntVar(&f.o.Points, "points", 5, "evaluations along each run")
	c.Flags().StringVarP(&f.o.Dir, "output", "o", "", "folder (default runs/compare-NAME)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	offerList(c, "arms", compare.Names)
	return c
}

func (f *compareFlags) run(c *cobra.Command) error {
	if f.path == "" {
		return uierr.New("no experiment is named", "give --config FILE; configs/ has some")
	}
	arms, err := compare.ReadArms(f.arms)
	if err != nil {
		return err
	}
	f.o.Config, f.o.Sets, f.o.Smoke, f.o.Device, f.o.Warn = f.path, f.sets, f.smoke, checkDevice, f.warn
	f.o.Sets = append(f.o.Sets, f.shared.sets()...)
	if f.device != "" {
		f.o.Sets = append(f.o.Sets, "train.device="+f.device)
	}
	p, err := compare.MakePlan(f.o, arms)
	if err != nil {
		return err
	}
	if p.Dir == "" {
		p.Dir = filepath.Join("runs", "compare-"+p.Base.Name)
	}
	text := c.OutOrStdout()
	if f.asJSON {
		text = io.Discard
	}
	fmt.Fprintf(text, "%s, %s; %s\n", ui.Plural(len(arms), "arm", "arms"),
		ui.Plural(p.Seeds, "seed", "seeds"), p.Describe())
	l := newLauncher(warner(c))
	defer l.close()
	share := f.offer(p, l, text)
	runs, err := p.Do(c.Context(), l.launch, func(n, of int, r compare.Run, res *compare.Result, had bool) {
		what := fmt.Sprintf("%*d/%d  %s seed %d", len(fmt.Sprint(of)), n, of, arms[r.Arm].Name, r.Seed)
		switch {
		case share != nil && res == nil: // several are under way, and a line tells of one
		case share != nil && !had:
			fmt.Fprintf(text, "%-36s%.4f  %s, %.1fs\n", what, res.Accuracy, ui.Plural(res.Steps, "step", "steps"), res.Seconds)
		case res == nil:
			fmt.Fprintf(text, "%-36s", what)
		case had:
			fmt.Fprintf(text, "%-36s%.4f  done before\n", what, res.Accuracy)
		default:
			fmt.Fprintf(text, "%.4f  %s, %.1fs\n", res.Accuracy, ui.Plural(res.Steps, "step", "steps"), res.Seconds)
		}
	}, p.Base.Cluster.Work, share)
	if err != nil {
		fmt.Fprintln(text)
		if l.stopped() {
			fmt.Fprintln(c.ErrOrStderr(), "flops: warning: stopped; the same command goes on where this one ended")
			return ui.ErrInterrupted
		}
		return err
	}
	return f.write(c.OutOrStdout(), p, compare.Summarise(arms, runs))
}

// offer is what offers the runs of a comparison to workers; nil where nobody asked for it.
func (f *compareFlags) offer(p *compare.Plan, l *launcher, text io.Writer) func(*compare.Queue) (func() error, error) {
	k := p.Base.Cluster
	if k.NATS == "" {
		return nil
	}
	return func(q *compare.Queue) (func() error, error) {
		w, err := cluster.OpenWhole(k, q, cluster.Options{Dir: p.Dir, Run: cluster.Name(p.Dir), Warn: l.warn})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(text, "cluster %s at %s\n", cluster.Name(p.Dir), w.URL())
		if path := w.KeyFile(); path != "" {
			fmt.Fprintf(text, "key %s\n", path)
		}
		end, err := serveMetrics(f.shared.metrics, w.WriteMetrics)
		if err != nil {
			return nil, errors.Join(err, w.Close())
		}
		l.onStop(func() { q.Fail(ui.ErrInterrupted) })
		return func() error { end(); return w.Close() }, nil
	}
}

// childEnv is the environment of a run's process: the resolved config says
// everything, so what would change it again is left out.
func childEnv() []string { return config.WithoutKeys(os.Environ()) }

// write prints the comparison and writes its files.
func (f *compareFlags) write(w io.Writer, p *compare.Plan, arms []compare.ArmResult) error {
	if err := pages.WriteComparison(p, arms, versionString()); err != nil {
		return err
	}
	if f.asJSON {
		return json.NewEncoder(w).Encode(pages.NewComparison(p, arms))
	}
	fmt.Fprintln(w)
	if err := compareTable(arms).Print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := lossTable(arms).Print(w); err != nil {
		return err
	}
	note := ""
	if compare.SplitsOf(arms).Both() {
		note = "accuracy is that of the test split\n"
	}
	_, err := fmt.Fprintf(w, "\n%s± is a 95%% interval over the seeds; vs %s is paired by seed\n"+
		"intervals cover the seeds, not other images; p is of a paired t-test, corrected over the arms (Holm)\n"+
		"report %s\n", note, arms[0].Name, filepath.Join(p.Dir, "report.html"))
	return err
}

func plusMinus(format string, m compare.Mean) string {
	switch {
	case math.IsNaN(m.Value):
		return "-"
	case math.IsNaN(m.Half):
		return fmt.Sprintf(format, m.Value)
	}
	return fmt.Sprintf(format+" ±%.3f", m.Value, m.Half)
}

// orDash writes a number that may not be there.
func orDash(format string, v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

// lossTable tells apart what accuracies of few images do not.
func lossTable(arms []compare.ArmResult) *ui.Table {
	t := &ui.Table{Head: []string{"arm", "loss", "vs " + arms[0].Name, "p", "p of the accuracy"}}
	for _, a := range arms {
		t.Add(a.Name, plusMinus("%.4f", a.Loss), plusMinus("%+.4f", a.LossDiff), orDash("%.3f", a.LossP), orDash("%.3f", a.P))
	}
	return t
}

func compareTable(arms []compare.ArmResult) *ui.Table {
	s := compare.SplitsOf(arms)
	t := &ui.Table{Head: []string{"arm", "accuracy", "vs " + arms[0].Name, "queries", "FLOPs", "s", "MiB"}}
	if s.Untested {
		t.Head[1] = "validation"
	}
	if s.Both() {
		t.Head = slices.Insert(t.Head, 2, "validation")
	}
	measured := compare.MeasuresOf(arms)
	for _, o := range measured {
		t.Head = append(t.Head, o.Title)
	}
	for _, a := range arms {
		mib, flops := "-", "-"
		if !math.IsNaN(a.PeakMiB) {
			mib = fmt.Sprintf("%.0f", a.PeakMiB)
		}
		if a.FLOPs > 0 { // those of a model that is only called are not known
			flops = ui.Count(int64(a.FLOPs))
		}
		row := []any{a.Name, plusMinus("%.3f", a.Accuracy), plusMinus("%+.3f", a.Difference),
			ui.Count(int64(a.Queries)), flops,
			fmt.Sprintf("%.1f", a.Seconds), mib}
		if s.Both() {
			row = slices.Insert(row, 2, any(plusMinus("%.3f", a.Validation)))
		}
		for _, o := range measured {
			row = append(row, plusMinus("%.4f", a.Measured(o.Tag)))
		}
		t.Add(row...)
	}
	return t
}
