package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/spf13/cobra"
)

// completeConfig lets a shell complete --config with YAML files and --set with
// keys and their values.
func completeConfig(c *cobra.Command) {
	must(c.MarkFlagFilename("config", "yaml", "yml"))
	must(c.RegisterFlagCompletionFunc("set", func(_ *cobra.Command, _ []string, typed string) ([]string,
		cobra.ShellCompDirective) {
		return completeSet(typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}))
}

// offer lets a shell complete a flag with the values that it may have.
func offer(c *cobra.Command, flag string, values ...string) {
	must(c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// offerList lets a shell complete the last of a flag's values parted by commas,
// or a file.
func offerList(c *cobra.Command, flag string, values func() []string) {
	must(c.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string,
		cobra.ShellCompDirective) {
		before := typed[:strings.LastIndexByte(typed, ',')+1]
		var out []string
		for _, v := range values() {
			if strings.HasPrefix(before+v, typed) && !slices.Contains(strings.Split(before, ","), v) {
				out = append(out, before+v)
			}
		}
		return out, cobra.ShellCompDirectiveNoSpace
	}))
}

// offerSplits lets a shell complete --split with the splits in --data, or those
// that an experiment may have.
func offerSplits(c *cobra.Command) {
	must(c.RegisterFlagCompletionFunc("split", func(c *cobra.Command, _ []string, _ string) ([]string,
		cobra.ShellCompDirective) {
		out := []string{data.Test, data.Validation, data.Train}
		dir, err := c.Flags().GetString("data")
		if err == nil && dir != "" {
			d := config.Default().Data
			d.Path = dir
			if d.Kind, err = data.Guess(dir); err == nil {
				if there := data.Splits(d); len(there) > 0 {
					out = there
				}
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}))
}

// choice is the value of a flag that takes one of a few words.
type choice struct {
	word  string
	words []string
}

func (c *choice) String() string { return c.word }
func (c *choice) Type() string   { return "string" }

// Set is called with what the command line says.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		return fmt.Errorf("the values are %s", strings.Join(c.words, ", "))
	}
	c.word = s
	return nil
}

// completionCmd is cobra's command that writes completion scripts, with what
// bash says where a package is missing.
func completionCmd(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	c, _, err := root.Find([]string{"completion", "bash"})
	must(err)
	c.Long += `
Without that package bash says "_get_comp_words_by_ref: command not found" at the
first tab: install bash-completion (apt, dnf, brew), or use zsh or fish.
`
}

// completeSet offers keys, and after a '=' the values of the key.
func completeSet(typed string) []string {
	key, value, ok := strings.Cut(typed, "=")
	var out []string
	if !ok {
		for _, k := range config.Keys() {
			if strings.HasPrefix(k, key) {
				out = append(out, k+"=")
			}
		}
		return out
	}
	for _, v := range config.Choices(key) {
		if v != "" && strings.HasPrefix(v, value) {
			out = append(out, key+"="+v)
		}
	}
	return out
}

// must reports a flag that does not exist, which only a programmer can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
