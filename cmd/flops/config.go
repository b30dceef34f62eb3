package main

import (
	"fmt"

	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/config"
	"github.com/spf13/cobra"
)

func configCmd() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Show or check an experiment", Args: cobra.NoArgs,
		Long: `An experiment is put together in layers, each over the one before:

  1. the defaults ('flops config show' prints every key),
  2. the file that --config's file extends, and what that extends,
  3. --config's file itself,
  4. environment variables: FLOPS_ and the key in capitals with '_' for '.', so
     FLOPS_TRAIN_STEPS=10 sets train.steps. Keys without a section (name) have
     none. A FLOPS_ variable that sets nothing gets a warning,
  5. --set section.key=value, in the order given.

A value from the environment or --set is taken as it stands: 'photos #1' is a
path. A list is [a, b]; one value is a list of one. In files and in values
${NAME} and ${NAME:-default} stand for environment variables; inside braces they
are quoted: {steps: "${N:-5}"}. Anchors and merge keys (<<) work as in YAML 1.1.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var show, validate configFlags
	s := &cobra.Command{Use: "show --config FILE", Short: "Print the experiment with every layer applied",
		Args: cobra.NoArgs,
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
	v := &cobra.Command{Use: "validate --config FILE", Short: "Check an experiment and say what is wrong with it",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := validate.load()
			if err != nil {
				return err
			}
			for _, d := range config.Doubts(cfg) {
				warner(c)(d)
			}
			rest := ""
			if keys := config.Unread(cfg, validate.sets); len(keys) > 0 {
				rest = "; nothing it chooses reads " + config.Braced(keys)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is valid%s\n", validate.path, rest)
			return err
		}}
	validate.add(v)
	var arms bool
	schema := &cobra.Command{Use: "schema", Short: "Print the JSON Schema of experiments, for editors", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			print := config.Schema
			if arms {
				print = compare.Schema
			}
			b, err := print()
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(b)
			return err
		}}
	schema.Flags().BoolVar(&arms, "arms", false, "of the files that 'compare --arms' reads instead")
	c.AddCommand(s, v, schema)
	return c
}
