package main

import (
	"strings"

	"github.com/flops-vit/flops/internal/settings"
	"github.com/spf13/cobra"
)

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
		return later(f.StringSlice(name, v, about))
	case []int:
		return later(f.IntSlice(name, v, about))
	case []float64:
		return later(f.Float64Slice(name, v, about))
	}
	text, _ := usual.(string)
	return later(f.String(name, text, about))
}

// later reads what a flag was set to.
func later[T any](p *T) func() any { return func() any { return *p } }
