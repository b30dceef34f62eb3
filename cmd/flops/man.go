package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func manCmd() *cobra.Command {
	return &cobra.Command{Use: "man DIR", Short: "Write the manual pages", Args: cobra.ExactArgs(1),
		Long: "Writes one page per command to DIR: flops.1, flops-train.1, ... Read one with\n" +
			"'man DIR/flops-train.1', or put DIR into a folder of MANPATH as man1.",
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return uierr.Wrap(err, fmt.Sprintf("man: %v", err), "name a folder that can be written")
			}
			n, err := writeMan(c.Root(), args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d pages in %s\n", n, args[0])
			return err
		}}
}

// writeMan writes the page of a command and of those below it.
func writeMan(c *cobra.Command, dir string) (int, error) {
	path := filepath.Join(dir, manName(c)+".1")
	if err := fsys.WriteFile(fsys.OS, path, []byte(manPage(c))); err != nil {
		return 0, err
	}
	n := 1
	for _, s := range c.Commands() {
		if !s.IsAvailableCommand() {
			continue
		}
		m, err := writeMan(s, dir)
		if err != nil {
			return 0, err
		}
		n += m
	}
	return n, nil
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// roff protects what groff would take for markup: backslashes, hyphens that
// are to stay hyphens, and a dot or quote that begins a line.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

// manPage is one page in the man macros (man(7)). It has no date, so that the
// same program writes the same pages.
func manPage(c *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH \"%s\" \"1\" \"\" \"flops\" \"flops manual\"\n", strings.ToUpper(roff(manName(c))))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(manName(c)), roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(c.UseLine()))
	if c.Long != "" {
		fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roff(c.Long))
	}
	manFlags(&b, "OPTIONS", c.NonInheritedFlags())
	manFlags(&b, "GLOBAL OPTIONS", c.InheritedFlags())
	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(c.Example))
	}
	var also []string
	if c.HasParent() {
		also = append(also, c.Parent().CommandPath())
	}
	for _, s := range c.Commands() {
		if s.IsAvailableCommand() {
			also = append(also, s.CommandPath())
		}
	}
	for i, name := range also {
		also[i] = fmt.Sprintf("\\fB%s\\fR(1)", roff(strings.ReplaceAll(name, " ", "-")))
	}
	if len(also) > 0 {
		fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", strings.Join(also, ", "))
	}
	return b.String()
}

func manFlags(b *strings.Builder, title string, set *pflag.FlagSet) {
	if !set.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + strings.ToUpper(kind)
		}
		if !strings.Contains(usage, "(default") && f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" &&
			f.DefValue != "0" {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(name), roff(usage))
	})
}
