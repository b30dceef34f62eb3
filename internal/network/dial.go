package network

import (
	"context"
	"fmt"
	"time"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/remote"
	"github.com/flops-vit/flops/internal/uierr"
)

// policyOf is how a config wants a model called.
func policyOf(c config.Config, warn func(string)) (remote.Policy, error) {
	d, err := time.ParseDuration(c.Model.Timeout)
	if err != nil {
		return remote.Policy{}, uierr.Wrap(err, fmt.Sprintf("model.timeout: %q is no duration", c.Model.Timeout),
			"write it as in 30s or 2m")
	}
	return remote.Policy{InFlight: c.Model.InFlight, MaxBatch: c.Model.MaxBatch, Retries: c.Model.Retries, Timeout: d,
		Log: warn}, nil
}

// Dial calls on a config's model and checks its shapes; no image is sent.
func Dial(ctx context.Context, c config.Config, warn func(string)) (caller remote.Caller, p remote.Policy, err error) {
	if p, err = policyOf(c, warn); err != nil {
		return nil, p, err
	}
	if c.Model.Kind == "command" {
		caller, err = remote.StartCommand(ctx, c.Model.Argv, c.Model.Arch.Classes, p)
	} else {
		caller, err = remote.Dial(ctx,
			oip.Endpoint{URL: c.Model.URL, Name: c.Model.Name, Binary: c.Model.Binary, TokenEnv: c.Model.TokenEnv,
				TokenFile: c.Model.TokenFile, CAFile: c.Model.CAFile, Classes: c.Model.Arch.Classes,
				Given: oip.Given{Input: c.Model.Input, Output: c.Model.Output, Shape: c.Model.Shape}}, p)
	}
	if err != nil {
		return nil, p, err
	}
	return caller, p, nil
}

// CalledTransform makes images what a model's metadata ask for, where the
// config does not say otherwise.
func CalledTransform(s oip.Spec, c config.Data) (*data.Transform, error) {
	like := hf.DefaultConfig()
	like.ImageSize, like.NumChannels = s.Height, s.Channels
	if s.Width != s.Height {
		like.ImageWidth = s.Width
	}
	l := &Local{Config: like, Pre: hf.DefaultPreprocessor(s.Height, s.Channels)}
	l.Pre.Width = s.Width
	if p := s.Preprocessing; p != nil && p.File != nil {
		var err error
		if l.Pre, err = hf.ParsePreprocessor(p.File, like); err != nil {
			return nil, uierr.Wrap(err, fmt.Sprintf("model %s: the preprocessor in its metadata: %v", s.Name, err),
				"correct what the server says of its pixels")
		}
	} else if p != nil {
		l.Pre.Mean, l.Pre.Std = p.Mean, p.Std
	}
	return l.Transform(c)
}

// ServedElsewhere refuses a device for a model that only answers calls.
func ServedElsewhere(c config.Config, what string) error {
	if !device.Elsewhere(c.Train.Device) {
		return nil
	}
	return uierr.New(fmt.Sprintf("device %s: %s is a model that can only be called, and runs where it is served",
		c.Train.Device, what),
		"leave out --device and train.device")
}
