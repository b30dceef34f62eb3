package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/signal"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

func serveCmd() *cobra.Command {
	var model, addr, name, spec string
	var threads int
	c := &cobra.Command{
		Use: "serve --model DIR", Short: "Answer a model by the Open Inference Protocol", Args: cobra.NoArgs,
		Long: `Serves a model by the Open Inference Protocol (KServe v2), JSON and binary
tensors, until it is interrupted. GET /stats says how many images it answered,
GET /metrics the same for Prometheus.
Images are sent as the network takes them, resized and normalised; the metadata
(GET /v2/models/NAME) say the mean, the standard deviation and the classes.

A checkpoint of a model that could only be called is a prompt: every image that
is sent here is sent on to that model, behind the frame, and the answer is
mapped to the task's classes.`,
		Example: "  flops serve --model models/vit --addr 127.0.0.1:8000 --name vit",
		RunE: func(c *cobra.Command, _ []string) error {
			if model == "" {
				return uierr.New("serve needs a model", "give --model DIR: a folder in Hugging Face layout, or a checkpoint")
			}
			cfg, err := onDevice(spec)
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
			return oip.Serve(ctx, addr, p, oip.ServeOptions{
				Listening: func(a net.Addr) { fmt.Fprintf(w, "serving %s at http://%s/v2/models/%s\n", model, a, name) },
				Stopped: func(s oip.Stats) {
					fmt.Fprintf(w, "answered %d images in %d requests, %d failed\n", s.Images, s.Requests, s.Failed)
				}})
		},
	}
	c.Flags().StringVar(&model, "model", "", "model folder in Hugging Face layout, or a checkpoint")
	c.Flags().StringVar(&addr, "addr", "127.0.0.1:8000", "address to listen at; port 0 picks a free one")
	c.Flags().StringVar(&name, "name", "vit", "the model's name on the server")
	c.Flags().IntVar(&threads, "threads", 0, "workers of the processor, 0: every core")
	addDevice(c, &spec, "auto")
	return c
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
		spec: oip.Spec{Name: name, Channels: t.Chans, Height: t.Size, Width: t.Size, Classes: len(t.Labels),
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
