package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/config"
	"github.com/spf13/cobra"
)

// documented is a command line that a page or the head of an experiment says.
type documented struct {
	where string
	env   []string // NAME=value before it
	args  []string // without flops itself
}

// TestDocumentedCommands: every command of the pages and of the experiments' heads is one
// that flops takes. Its flags are there, its experiment resolves with its --set, and so
// does each of its arms. What a word in capitals stands for is not looked at.
func TestDocumentedCommands(t *testing.T) {
	t.Chdir("../..")
	var all []documented
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "configs/*.yaml", "configs/arms/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			all = append(all, commandsOf(f, read(t, f))...)
		}
	}
	if len(all) < 100 {
		t.Fatalf("%d commands were found; the pages have more", len(all))
	}
	seen := map[string]bool{}
	for _, d := range all {
		line := strings.Join(slices.Concat(d.env, d.args), " ")
		if seen[line] {
			continue
		}
		seen[line] = true
		t.Run(d.where, func(t *testing.T) {
			if err := d.check(t); err != nil {
				t.Errorf("flops %s: %v", line, err)
			}
		})
	}
}

var (
	goesOn   = regexp.MustCompile(`\\\n\s*`)
	aside    = regexp.MustCompile(`\s{2,}.*| &&? .*| \| .*`) // what follows a command on its line
	block    = regexp.MustCompile(`(?m)^ {4,}((?:[A-Z_]+=\S+ )*)(?:bin/)?flops ([a-z].*)$`)
	span     = regexp.MustCompile("`(?:bin/)?flops ([a-z][^`]*)`")
	capitals = regexp.MustCompile(`(^|=)[A-Z]+$`)
	half     = regexp.MustCompile(`(?: --(?:metrics|cluster|arms))$`) // a flag that a sentence names
)

// commandsOf finds them in blocks, in spans of code and in comments.
func commandsOf(file, text string) (out []documented) {
	if strings.HasSuffix(file, ".yaml") {
		text = "    " + strings.ReplaceAll(head(text), "\n", "\n    ")
	}
	text = goesOn.ReplaceAllString(text, " ")
	for _, m := range block.FindAllStringSubmatch(text, -1) {
		out = append(out, documented{file, strings.Fields(m[1]), words(aside.ReplaceAllString(m[2], ""))})
	}
	for _, m := range span.FindAllStringSubmatch(text, -1) {
		out = append(out, documented{file, nil, words(half.ReplaceAllString(strings.ReplaceAll(m[1], "\n", " "), ""))})
	}
	return out
}

// read is the text of a file.
func read(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// head is the comments that an experiment begins with, without their mark.
func head(text string) string {
	var lines []string
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(l, "#") {
			break
		}
		lines = append(lines, strings.TrimSpace(l[1:]))
	}
	return strings.Join(lines, "\n")
}

// words parts a command line as a shell does, which here knows quotes alone.
func words(line string) (out []string) {
	quote, word, any := rune(0), "", false
	for _, r := range line + " " {
		switch {
		case quote == 0 && (r == '\'' || r == '"'):
			quote, any = r, true
		case quote == r:
			quote = 0
		case quote == 0 && r == ' ':
			if any {
				out = append(out, word)
			}
			word, any = "", false
		default:
			word, any = word+string(r), true
		}
	}
	return out
}

// check parses a command, and resolves what it names.
func (d documented) check(t *testing.T) error {
	for i, a := range d.args {
		d.args[i] = capitals.ReplaceAllString(a, "${1}0")
	}
	for _, e := range d.env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	c, rest, err := root(io.Discard).Find(d.args)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	path := flag(c, "config")
	if !strings.HasPrefix(path, "configs/") {
		return nil
	}
	sets, err := c.Flags().GetStringArray("set")
	if err != nil {
		return err
	}
	arms := []compare.Arm{{}}
	if from := flag(c, "arms"); from != "" {
		if arms, err = compare.ReadArms(from); err != nil {
			return err
		}
	}
	for _, a := range arms {
		r, err := config.Load(path, append(slices.Clone(sets), a.Set...))
		if err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		if a.Name != "" && !r.Asks() && a.Match == "" {
			return fmt.Errorf("%s asks no queries, and has no match", a.Name)
		}
	}
	return nil
}

// flag is the value of a flag, empty where the command has none.
func flag(c *cobra.Command, name string) string {
	if f := c.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}
