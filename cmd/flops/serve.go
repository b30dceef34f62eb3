package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/signal"
	"strings"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

func serveCmd() *cobra.Command {
	var model, addr, name, spec, precision string
	var threads, bodyMiB int
	var check bool
	var limits oip.Limits
	logged := &choice{"all", []string{"all", "failed", "none"}}
	c := &cobra.Command{
		Use: "serve --model DIR", Short: "Answer a model by the Open Inference Protocol", Args: cobra.NoArgs,
		Long: `Serves a model by the Open Inference Protocol (KServe v2), JSON and binary
tensors, until it is interrupted; requests under way are then answered, for up
to 15 seconds. GET /stats says how many images it answered, GET /metrics more,
for Prometheus. Standard error gets a line for every inference, with the
request's X-Request-Id or one that is made for it, which the answer has too.
Images are sent as the network takes them, resized and normalised; the metadata
(GET /v2/models/NAME) say the mean, the standard deviation and the classes.

A checkpoint of a model that could only be called is a prompt: every image that
is sent here is sent on to that model, behind the frame, and the answer is
mapped to the task's classes.

With --check it asks a server at --addr whether it is ready, for a container's
health check, and answers with status 0 or 1.`,
		Example: `  flops serve --model models/vit --addr 127.0.0.1:8000 --name vit
  flops serve --check --addr 127.0.0.1:8000`,
		RunE: func(c *cobra.Command, _ []string) error {
			if check {
				return checkServer(c.Context(), c.OutOrStdout(), addr)
			}
			if model == "" {
				return uierr.New("serve needs a model", "give --model DIR: a folder in Hugging Face layout, or a checkpoint")
			}
			if bodyMiB < 0 || limits.AtOnce < 0 || limits.Time < 0 {
				return uierr.New("serve: a limit below 0", "give --max-body, --max-requests and --timeout above 0")
			}
			limits.Body = int64(bodyMiB) << 20
			cfg, err := onDevice(spec)
			if err == nil {
				err = inPrecision(&cfg, precision)
			}
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), stopSignals()...)
			defer stop()
			cfg.Train.Threads = threads
			t, err := network.Open(ctx, model, cfg, warner(c))
			if err != nil {
				return err
			}
			defer t.Close()
			p, err := newServed(name, t)
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			return oip.Serve(ctx, addr, p, oip.ServeOptions{Limits: limits, Log: requestLog(c, logged.word),
				Listening: func(a net.Addr) {
					fmt.Fprintf(w, "serving %s at http://%s/v2/models/%s%s\n", model, a, name, inWords(cfg))
				},
				Stopped: func(s oip.Stats) {
					fmt.Fprintf(w, "answered %d images in %d requests, %d failed\n", s.Images, s.Requests, s.Failed)
				}})
		},
	}
	c.Flags().StringVar(&model, "model", "", "model folder in Hugging Face layout, or a checkpoint")
	c.Flags().StringVar(&addr, "addr", "127.0.0.1:8000", "address to listen at; port 0 picks a free one")
	c.Flags().StringVar(&name, "name", "vit", "the model's name on the server")
	c.Flags().IntVar(&threads, "threads", 0, "workers of the processor, 0: every core")
	c.Flags().IntVar(&bodyMiB, "max-body", 0, "MiB of a request, 0: those of 1024 images in JSON, 512 at most")
	c.Flags().IntVar(&limits.AtOnce, "max-requests", oip.DefaultAtOnce, "inferences at once; more get 503 and Retry-After")
	c.Flags().DurationVar(&limits.Time, "timeout", oip.DefaultTime, "for a request to come and to get to the model")
	c.Flags().Var(logged, "log", "inferences that get a line: all, failed or none")
	offer(c, "log", logged.words...)
	c.Flags().BoolVar(&check, "check", false, "ask the server at --addr whether it is ready")
	addDevice(c, &spec, "auto")
	addPrecision(c, &precision)
	return c
}

// checkTime is how long a server may take to say that it is ready.
const checkTime = 5 * time.Second

// checkServer asks a server whether it is ready. An address that a server listens
// at on every interface is asked on this machine's own.
func checkServer(ctx context.Context, w io.Writer, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return uierr.Wrap(err, fmt.Sprintf("--addr %s: %v", addr, err), "give host:port, as in 127.0.0.1:8000")
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	at := "http://" + net.JoinHostPort(host, port)
	c, err := oip.NewClient(oip.Endpoint{URL: at, Name: "any"}, 1, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if err := errors.Join(c.Ready(ctx), c.Close()); err != nil {
		return uierr.Failed(err, "no server is ready: "+strings.TrimPrefix(err.Error(), "model.url "),
			"start one with 'flops serve --model DIR'")
	}
	_, err = fmt.Fprintf(w, "ready at %s\n", at)
	return err
}

// requestLog writes lines of a server on standard error, in the form that
// --log-format names: all, those of failures and of what else goes wrong, or none.
func requestLog(c *cobra.Command, which string) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	switch which {
	case "failed":
		o.Level = slog.LevelWarn
	case "none":
		return nil
	}
	if format, _ := c.Flags().GetString("log-format"); format == "json" {
		return slog.New(slog.NewJSONHandler(c.ErrOrStderr(), o))
	}
	return slog.New(slog.NewTextHandler(c.ErrOrStderr(), o))
}

// served is a trained model as a server's predictor.
type served struct {
	spec    oip.Spec
	trained *network.Trained
}

// newServed describes a model to clients, its normalisation and its classes
// included.
func newServed(name string, t *network.Trained) (*served, error) {
	tr, err := t.Transform(config.Data{})
	if err != nil {
		return nil, err
	}
	p := &oip.Preprocessing{}
	p.Mean, p.Std = tr.Normalization()
	if t.Local != nil {
		if p.File, err = json.Marshal(t.Local.Pre); err != nil {
			return nil, err
		}
	}
	return &served{trained: t,
		spec: oip.Spec{Name: name, Channels: t.Chans, Height: t.Height, Width: t.Width, Classes: len(t.Labels),
			Labels: t.Labels, Preprocessing: p}}, nil
}

// Spec is the model's.
func (s *served) Spec() oip.Spec { return s.spec }

// Logits answers n images.
func (s *served) Logits(ctx context.Context, images []float32, n int) ([]float32, error) {
	out, err := s.trained.Model.Evaluate(ctx, &forward.Batch{Size: n, Inputs: images})
	if err != nil {
		return nil, err
	}
	return out.Logits, nil
}
