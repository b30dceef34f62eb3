// Command flops trains vision transformers without backpropagation.
//
// There is one file per subcommand; each reads its flags, calls the packages
// that do the work and prints. Errors are printed in one place, ui.Fail, with a
// hint and an exit status: 2 for a mistake that the user can mend, 1 for a
// failure, 130 for an interrupt.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

// version is set by the linker in releases.
var version = ""

func main() { os.Exit(run()) }

// run executes the command line and returns the exit status.
func run() (status int) {
	defer func() {
		if r := recover(); r != nil { // a bug; say so in our words and keep the trace for a report
			path := crashFile(r)
			status = ui.Fail(os.Stderr, fmt.Errorf("internal error: %v (details in %s)", r, path))
		}
	}()
	debug.SetGCPercent(spare)
	out := ui.NewOutput(os.Stdout)
	c := root(out)
	if err := out.Failed(c.Execute()); err != nil {
		return ui.Fail(os.Stderr, err)
	}
	return 0
}

// crashFile keeps a stack trace out of the user's sight.
func crashFile(r any) string {
	f, err := os.CreateTemp("", "flops-crash-*.txt")
	if err != nil {
		return "no file: " + err.Error()
	}
	defer f.Close()
	fmt.Fprintf(f, "flops %s\n%v\n\n%s", versionString(), r, debug.Stack())
	return f.Name()
}

// warner prints the warnings of a command, a line each.
func warner(c *cobra.Command) func(string) {
	return func(s string) { fmt.Fprintf(c.ErrOrStderr(), "flops: warning: %s\n", s) }
}

// root is the whole command, which prints to out.
func root(out io.Writer) *cobra.Command {
	c := &cobra.Command{
		Use:   "flops",
		Short: "Train vision transformers by forward passes alone",
		Long: `flops trains vision transformers without backpropagation. Gradients come from
forward passes alone (queries) by the likelihood-ratio method, and an allocator
decides how many queries each image of a batch gets.`,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs, Version: versionLine(),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SetOut(out) // before the completion commands are made, which keep it
	c.SetUsageTemplate(strings.ReplaceAll(c.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 80"))
	c.SetVersionTemplate("flops {{.Version}}\n")
	c.PersistentFlags().Var(&choice{"text", []string{"text", "json"}}, "log-format", "form of progress: text or json")
	offer(c, "log-format", "text", "json")
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return uierr.Wrap(err, err.Error(), fmt.Sprintf("run '%s --help' for the flags", c.CommandPath()))
	})
	group(c, "Train:", trainCmd(), compareCmd(), tuneCmd(), configCmd(), dataCmd())
	group(c, "Use a model:", evalCmd(), predictCmd(), embedCmd(), modelCmd(), serveCmd())
	group(c, "Look into a run:", reportCmd(), allocateReportCmd(), journalCmd(), replayCmd())
	group(c, "With other machines and programs:", workerCmd(), clusterCmd(), allocateCmd())
	c.AddCommand(benchCmd(), versionCmd(), manCmd())
	completionCmd(c)
	wrapArgs(c)
	return c
}

// group adds commands that help lists under a title of their own.
func group(c *cobra.Command, title string, commands ...*cobra.Command) {
	c.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, s := range commands {
		s.GroupID = title
		c.AddCommand(s)
	}
}

// wrapArgs turns a wrong number of arguments, or a command that there is not,
// into a user's mistake, for a command and those below it.
func wrapArgs(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, a []string) error {
			err := args(c, a)
			switch {
			case err == nil:
				return nil
			case c.HasSubCommands():
				return uierr.Wrap(err, err.Error(), commandHint(c, a[0]))
			}
			return uierr.Wrap(err, fmt.Sprintf("%s: %v", c.CommandPath(), err), fmt.Sprintf("usage: %s", c.UseLine()))
		}
	}
	for _, s := range c.Commands() {
		wrapArgs(s)
	}
}

// commandHint names the subcommand that somebody may have meant.
func commandHint(c *cobra.Command, typed string) string {
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(typed); len(near) > 0 {
		return fmt.Sprintf("did you mean '%s %s'?", c.CommandPath(), near[0])
	}
	return fmt.Sprintf("run '%s --help' for the commands", c.CommandPath())
}

// versionString is the release that the linker or 'go install MODULE@VERSION' set,
// else the commit that the toolchain recorded.
func versionString() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return versionOf(info)
}

// versionOf is the module's version where it has one of a release: a build in a
// checkout has one that only repeats its commit, or none.
func versionOf(info *debug.BuildInfo) string {
	rev, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	switch v := info.Main.Version; {
	case rev != "":
		return "devel-" + rev + dirty
	case v != "" && v != "(devel)":
		return v
	}
	return "devel"
}
