package main

import (
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/spf13/cobra"
)

// completeConfig lets a shell complete --config with YAML files and --set with
// keys and their values.
func completeConfig(c *cobra.Command) {
	must(c.MarkFlagFilename("config", "yaml", "yml"))
	must(c.RegisterFlagCompletionFunc("set", func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return completeSet(typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}))
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
