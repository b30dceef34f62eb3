package main

import (
	"fmt"
	"runtime"

	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/spf13/cobra"
)

// versionLine is the version and what it was built for.
func versionLine() string {
	return fmt.Sprintf("%s (%s, %s/%s)", versionString(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func versionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version, the matrix kernel and the devices", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w := c.OutOrStdout()
			fmt.Fprintf(w, "flops %s\n", versionLine())
			fmt.Fprintf(w, "kernel %s, %d cores\n", kernel.Describe(), runtime.NumCPU())
			fmt.Fprintf(w, "bf16 %s\n", kernel.DescribeHalf())
			for _, kind := range device.Kinds() {
				if ok, why := device.Available(kind); ok {
					fmt.Fprintf(w, "%s available\n", kind)
				} else {
					fmt.Fprintf(w, "%s not available: %s\n", kind, why)
				}
			}
			return nil
		},
	}
}
