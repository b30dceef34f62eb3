package main

import (
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/device"
	"github.com/spf13/cobra"
)

// addDevice adds --device to a command that runs a network; every one of them
// has it with the same meaning (internal/device).
func addDevice(c *cobra.Command, spec *string, unset string) {
	c.Flags().StringVar(spec, "device", unset, "auto, cpu, cuda or cuda:1")
	offer(c, "device", device.Settings()...)
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
// elsewhere.
func checkDevice(c *config.Config) error {
	if c.Model.Kind != "local" && !device.Elsewhere(c.Train.Device) {
		c.Train.Device = device.CPU
	}
	spec, err := device.Settle(c.Train.Device)
	if err == nil {
		c.Train.Device = spec
	}
	return err
}
