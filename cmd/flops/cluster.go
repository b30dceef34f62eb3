package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/flops-vit/flops/internal/cluster"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/report"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/uierr"
)

// clusterFlags are those of a run that others take part in.
type clusterFlags struct{ nats, listen, creds, key, metrics string }

func (f *clusterFlags) add(c *cobra.Command, what string) {
	c.Flags().StringVar(&f.nats, "cluster", "", what)
	c.Flags().StringVar(&f.listen, "listen", "", "--cluster embedded: host:port of its server (default 127.0.0.1:4222)")
	c.Flags().StringVar(&f.creds, "cluster-creds", "", "--cluster URL: credentials file")
	c.Flags().StringVar(&f.key, "cluster-key", "", "--cluster URL: file with an nkey seed")
	c.Flags().StringVar(&f.metrics, "metrics", "", "serve /metrics for Prometheus at this host:port")
}

// sets are the flags as keys of the config.
func (f *clusterFlags) sets() (out []string) {
	for _, s := range []struct{ key, value string }{{"cluster.nats", f.nats}, {"cluster.listen", f.listen},
		{"cluster.creds", f.creds}, {"cluster.key", f.key}} {
		if s.value != "" {
			out = append(out, s.key+"="+s.value)
		}
	}
	return out
}

// train runs an experiment on its own, or with whoever takes part.
func (j *trainJob) train(ctx context.Context, w io.Writer, x *train.Experiment,
	o train.RunOptions) (*train.Outcome, error) {
	if x.Config.Cluster.NATS == "" {
		return train.Run(ctx, x, o)
	}
	k, err := cluster.New(x, cluster.Options{Dir: o.Dir, Run: cluster.Name(o.Dir), Warn: o.Watch.Warned})
	if err != nil {
		return nil, err
	}
	if err := k.Serve(); err != nil {
		return nil, err
	}
	fmt.Fprintf(w, "cluster    run %s at %s\n", k.Run(), k.URL())
	if path := k.KeyFile(); path != "" {
		fmt.Fprintf(w, "key        %s\n", path)
	}
	fmt.Fprintln(w, k.Foresee())
	end, err := serveMetrics(j.metrics, k.WriteMetrics)
	if err != nil {
		return nil, errors.Join(err, k.Close(false))
	}
	defer end()
	each := o.Each
	o.Watch, o.Taken = k.Watch(o.Watch), k.Taken
	o.Each = func(t *train.Trainer) error {
		if err := k.Each(t); err != nil {
			return err
		}
		return each(t)
	}
	out, err := train.Run(ctx, x, o)
	return out, errors.Join(err, k.Close(err == nil && out.Stopped != "interrupted"))
}

func workerCmd() *cobra.Command {
	var d cluster.Dial
	var run, data, model, device, metrics string
	var sets []string
	var threads int
	c := &cobra.Command{
		Use: "worker --nats URL", Short: "Answer queries of a run that trains elsewhere", Args: cobra.NoArgs,
		Long: `Takes part in a run that was begun by 'flops train --cluster': fetches its
experiment and its last checkpoint, follows every step, and answers the queries
that it is given, until the run has ended. Workers come and go at any time, and
the run's files are those of a run without them, byte for byte.

The data, and the model where the run began with one, are this machine's own:
nothing that is run, no address and no path comes from the network. Of a run
whose model is called, a worker needs an address or a program that answers the
same.`,
		Example: `  flops worker --nats nats://desktop:4222 --data photos
  flops worker --nats nats://desktop:4222 --set model.url=http://localhost:8000
  flops worker --nats nats://desktop:4222 --key worker.nk --threads 4`,
		RunE: func(c *cobra.Command, _ []string) error {
			if d.URL == "" {
				return uierr.New("worker needs a server", "give --nats URL: what 'flops train --cluster' prints")
			}
			if err := checkNATS(d.URL); err != nil {
				return err
			}
			if err := cluster.CheckSets(sets); err != nil {
				return err
			}
			out, l := c.OutOrStdout(), newLauncher(warner(c))
			defer l.close()
			w, err := cluster.NewWorker(cluster.WorkerOptions{Dial: d, Run: run, Sets: sets,
				Local: func(cfg *config.Config) {
					if data != "" {
						cfg.Data.Path = data
					}
					if model != "" {
						cfg.Model.Path = model
					}
					if threads > 0 {
						cfg.Train.Threads = threads
					}
					if device != "" {
						cfg.Train.Device = device
					}
				},
				Train: func(ctx context.Context, config, folder string) (float64, error) {
					return l.launch(ctx, []string{"train", "--config", config, "--output", folder}, folder+".log")
				},
				Log: func(s string) { fmt.Fprintln(out, s) }})
			if err != nil {
				return err
			}
			defer w.Close()
			end, err := serveMetrics(metrics, w.WriteMetrics)
			if err != nil {
				return err
			}
			defer end()
			ctx, stop := signal.NotifyContext(c.Context(), stopSignals()...)
			defer stop()
			if err = w.Work(ctx); errors.Is(err, context.Canceled) && c.Context().Err() == nil {
				err = nil
			}
			fmt.Fprintf(out, "answered %d queries in %d tasks\n", w.Queries.Load(), w.Tasks.Load())
			return err
		},
	}
	addDial(c, &d)
	c.Flags().StringVar(&run, "run", "", "name of the run (default: the only one)")
	c.Flags().StringVar(&data, "data", "", "the run's data on this machine")
	c.Flags().StringVar(&model, "model", "", "the model that the run began with (default: from the run)")
	c.Flags().StringArrayVar(&sets, "set", nil, "this machine's own part of the experiment, such as model.url=URL")
	c.Flags().IntVar(&threads, "threads", 0, "workers of the processor, 0: every core")
	c.Flags().StringVar(&metrics, "metrics", "", "serve /metrics for Prometheus at this host:port")
	addDevice(c, &device, "")
	return c
}

func addDial(c *cobra.Command, d *cluster.Dial) {
	c.Flags().StringVar(&d.URL, "nats", "", "address of NATS servers, parted by commas")
	c.Flags().StringVar(&d.Key, "key", "", "file with an nkey seed: worker.nk of the run folder's cluster/")
	c.Flags().StringVar(&d.Creds, "creds", "", "credentials file of the NATS servers")
	c.Flags().StringVar(&d.CAFile, "ca-file", "", "PEM certificates to trust")
}

// checkNATS holds an address to the form of cluster.nats.
func checkNATS(url string) error {
	c := config.Default()
	c.Cluster.NATS = url
	err := config.Validate(&c)
	if e, ok := uierr.As(err); ok && url != cluster.Embedded && len(e.What) > 12 && e.What[:12] == "cluster.nats" {
		return uierr.New("--nats: names no NATS servers", e.Hint)
	}
	if url == cluster.Embedded {
		return uierr.New("--nats: embedded is the server of the run", "give its address: what 'flops train --cluster' prints")
	}
	return nil
}

func clusterCmd() *cobra.Command {
	var d cluster.Dial
	var asJSON bool
	c := &cobra.Command{
		Use: "cluster --nats URL", Short: "List runs that are shared out, and their workers", Args: cobra.NoArgs,
		Long: `Lists every run that was begun by 'flops train --cluster' on these servers, with
how fast it goes and what it has wasted, and below it the workers: the step they
are at, the tasks they were given and the queries they answered.`,
		Example: "  flops cluster --nats nats://desktop:4222\n  flops cluster --nats nats://desktop:4222 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			if d.URL == "" {
				return uierr.New("cluster needs a server", "give --nats URL: what 'flops train --cluster' prints")
			}
			if err := checkNATS(d.URL); err != nil {
				return err
			}
			all, err := cluster.List(c.Context(), d)
			if err != nil {
				return err
			}
			if asJSON {
				if all == nil {
					all = []cluster.Status{}
				}
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(all)
			}
			return printRuns(c.OutOrStdout(), all)
		},
	}
	addDial(c, &d)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printRuns writes the runs and their workers, in lines of at most 80 characters.
func printRuns(w io.Writer, all []cluster.Status) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no run is under way")
		return err
	}
	for _, s := range all {
		print := printQueries
		if s.Whole {
			print = printTakers
		}
		if err := print(w, &s); err != nil {
			return err
		}
	}
	return nil
}

// printQueries writes a run whose queries are shared out.
func printQueries(w io.Writer, s *cluster.Status) error {
	fmt.Fprintf(w, "%s on %s: step %d of %d, loss %.4f\n", fit(s.Run, 22), fit(s.Host, 14), s.Step, s.Of, s.Loss)
	fmt.Fprintf(w, "  queries  %s here, %s by workers, %s wasted, %s/s in %s\n", ui.Count(s.Stats.Own),
		ui.Count(s.Stats.Queries), ui.Count(s.Stats.Wasted), ui.Count(int64(s.Rate)), time.Duration(s.Seconds)*time.Second)
	fmt.Fprintf(w, "  tasks    %s, %s copies; %s up, %s down\n", ui.Count(s.Stats.Tasks), ui.Count(s.Stats.Copies),
		report.Bytes(s.Stats.Up), report.Bytes(s.Stats.Down))
	return printMembers(w, s.Members, []string{"kernel", "threads", "lag", "tasks", "queries"},
		func(m *cluster.Member) []any {
			return []any{fit(m.Kernel, 14), m.Threads, max(0, s.Step-m.Step), ui.Count(m.Tasks), ui.Count(m.Queries)}
		})
}

// printTakers writes a comparison whose runs are shared out.
func printTakers(w io.Writer, s *cluster.Status) error {
	fmt.Fprintf(w, "%s on %s: %d of %d runs in %s\n", fit(s.Run, 24), fit(s.Host, 16), s.Step, s.Of,
		time.Duration(s.Seconds)*time.Second)
	return printMembers(w, s.Members, []string{"kernel", "runs"},
		func(m *cluster.Member) []any { return []any{fit(m.Kernel, 14), m.Tasks} })
}

// printMembers writes a table of workers.
func printMembers(w io.Writer, all []cluster.Member, head []string, row func(*cluster.Member) []any) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "  no workers")
		return err
	}
	t := ui.Table{Head: append([]string{"  worker"}, head...)}
	for _, m := range all {
		t.Add(append([]any{"  " + fit(m.Name, 26)}, row(&m)...)...)
	}
	return t.Print(w)
}

// fit shortens a name in its middle, so that both its ends are there.
func fit(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most/2-1] + ".." + s[len(s)-(most-most/2-1):]
}
