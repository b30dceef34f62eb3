package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelpFits holds every help text to a terminal of 80 columns. The texts of
// the completion commands are cobra's own.
func TestHelpFits(t *testing.T) {
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		for _, line := range strings.Split(c.Long+"\n"+c.UsageString(), "\n") {
			if n := len([]rune(line)); n > 80 {
				t.Errorf("%s --help has a line of %d columns: %s", c.CommandPath(), n, line)
			}
		}
		for _, s := range c.Commands() {
			if s.Name() != "completion" {
				look(s)
			}
		}
	}
	look(root(io.Discard))
}
