package main

import (
	"fmt"

	"github.com/flops-vit/flops/internal/config"
	"github.com/spf13/cobra"
)

func configCmd() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Show or check an experiment", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var show, validate configFlags
	s := &cobra.Command{Use: "show --config FILE", Short: "Print the experiment with every layer applied", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := show.load()
			if err != nil {
				return err
			}
			b, err := config.Marshal(cfg)
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(b)
			return err
		}}
	show.add(s)
	v := &cobra.Command{Use: "validate --config FILE", Short: "Check an experiment and say what is wrong with it", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := validate.load(); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s is valid\n", validate.path)
			return err
		}}
	validate.add(v)
	schema := &cobra.Command{Use: "schema", Short: "Print the JSON Schema of experiments, for editors", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(b)
			return err
		}}
	c.AddCommand(s, v, schema)
	return c
}
