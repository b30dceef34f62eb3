package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/spf13/cobra"
)

// configFlags are the flags of every command that reads an experiment.
type configFlags struct {
	path   string
	sets   []string
	device string
	smoke  bool
	warn   func(string)
}

func (f *configFlags) add(c *cobra.Command) {
	f.warn = warner(c)
	c.Flags().StringVarP(&f.path, "config", "c", "", "YAML experiment")
	c.Flags().StringArrayVar(&f.sets, "set", nil, "override a key, such as train.steps=10; may be repeated")
	addDevice(c, &f.device, "")
	c.Flags().BoolVar(&f.smoke, "smoke", false, "shrink the experiment to seconds")
	completeConfig(c)
}

// load resolves the experiment and checks that its device is there.
func (f *configFlags) load() (config.Config, error) {
	if f.path == "" {
		return config.Config{}, uierr.New("no experiment is named", "give --config FILE; configs/ has some")
	}
	sets := f.sets
	if f.device != "" {
		sets = append(sets, "train.device="+f.device)
	}
	r, err := config.Load(f.path, sets)
	if err != nil {
		return config.Config{}, err
	}
	for _, w := range r.Warnings {
		f.warn(w)
	}
	if f.smoke {
		config.Smoke(&r.Config)
	}
	return r.Config, checkDevice(&r.Config)
}

// addDevice adds --device to a command that runs a network; every one of them
// has it with the same meaning (internal/device).
func addDevice(c *cobra.Command, spec *string, unset string) {
	c.Flags().StringVar(spec, "device", unset, "auto, cpu, cuda or cuda:1")
	offer(c, "device", device.Settings()...)
}

// addPrecision adds --precision to a command that evaluates a network.
func addPrecision(c *cobra.Command, spec *string) {
	c.Flags().StringVar(spec, "precision", "", "of matrix products: fp32, bf16, or tf32 of a GPU")
	offer(c, "precision", config.Choices("train.precision")...)
}

// inPrecision takes what --precision says, where it says something.
func inPrecision(cfg *config.Config, spec string) error {
	if spec == "" {
		return nil
	}
	if known := config.Choices("train.precision"); !slices.Contains(known, spec) {
		return uierr.New(fmt.Sprintf("--precision: no precision %q", spec), "use "+strings.Join(known, ", "))
	}
	cfg.Train.Precision = spec
	return nil
}

// unusual is the precision of a network's matrix products where it is not the usual one,
// else empty.
func unusual(cfg config.Config) string {
	if cfg.Model.Kind != "local" || cfg.Train.Precision == vit.FP32 {
		return ""
	}
	return cfg.Train.Precision
}

// inWords says an unusual precision before what it is added to ends.
func inWords(cfg config.Config) string {
	if precision := unusual(cfg); precision != "" {
		return ", " + precision
	}
	return ""
}

// onDevice is the settings of a command without an experiment, with a device
// that is there. What auto means is settled when the model is opened, which may
// turn out to be one that is only called.
func onDevice(spec string) (config.Config, error) {
	c := config.Default()
	if spec != "" {
		c.Train.Device = spec
	}
	_, err := device.Settle(c.Train.Device)
	return c, err
}

// checkDevice refuses an experiment's device that is not there and settles what
// auto means: for a model that is only called the processor, since it runs
// elsewhere, and where texts alone are computed.
func checkDevice(c *config.Config) error {
	if (c.Model.Kind != "local" || network.Words(c.Prompt)) && !device.Elsewhere(c.Train.Device) {
		c.Train.Device = device.CPU
	}
	spec, err := device.Settle(c.Train.Device)
	if err == nil {
		c.Train.Device = spec
	}
	return err
}

// settingFlags gives a command a flag for each of some settings, with the values
// that it has where nothing is said, and returns what reads them once the flags
// are parsed.
func settingFlags(c *cobra.Command, all []settings.Owned, usual settings.Values) func() settings.Values {
	read := map[string]func() any{}
	for _, s := range all {
		name := flagOf(s.Key)
		read[s.Key] = settingFlag(c, name, s.About(), s.In(usual))
		switch s.Default.(type) {
		case string:
			offer(c, name, s.Choices...)
		case []string:
			offerList(c, name, func() []string { return s.Choices })
		}
	}
	return func() settings.Values {
		out := settings.Values{}
		for key, value := range read {
			out[key] = value()
		}
		return out
	}
}

// flagOf is the flag of a setting, without the dashes before it.
func flagOf(key string) string { return strings.ReplaceAll(key, "_", "-") }

// settingFlag adds a flag of the type of a value and returns what reads it.
func settingFlag(c *cobra.Command, name, about string, usual any) func() any {
	f := c.Flags()
	switch v := usual.(type) {
	case bool:
		return later(f.Bool(name, v, about))
	case int:
		return later(f.Int(name, v, about))
	case int64:
		return later(f.Int64(name, v, about))
	case float64:
		return later(f.Float64(name, v, about))
	case []string:
		u := &usualNames{nameList: v}
		f.Var(u, name, about)
		return func() any { return u.list() }
	case []int:
		return later(f.IntSlice(name, v, about))
	case []float64:
		p := f.Float64Slice(name, v, about)
		if len(v) == 0 {
			f.Lookup(name).DefValue = "" // a list of none is no default to print
		}
		return later(p)
	}
	text, _ := usual.(string)
	return later(f.String(name, text, about))
}

// later reads what a flag was set to.
func later[T any](p *T) func() any { return func() any { return *p } }

// lines folds words to a width.
func lines(words []string, width int, indent string) string {
	out, at := "", 0
	for i, w := range words {
		if i > 0 {
			out, at = out+",", at+1
			if at+1+len(w) > width {
				out, at = out+"\n"+indent, 0
			} else {
				out, at = out+" ", at+1
			}
		}
		out, at = out+w, at+len(w)
	}
	return out
}
