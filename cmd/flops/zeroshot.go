package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/texts"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

// promptFlags name classes for a model that compares images with texts.
type promptFlags struct {
	labels  nameList
	prompts []string
}

func (f *promptFlags) addPrompts(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.prompts, "prompt", nil,
		"text of a class, {} standing for its name; several are averaged (default \""+texts.Default+"\")")
}

func (f *promptFlags) addLabels(c *cobra.Command) {
	c.Flags().Var(&f.labels, "labels",
		"classes that a CLIP or SigLIP chooses among, parted by commas; a name with one is quoted")
	f.addPrompts(c)
}

// check refuses labels and prompts that say nothing.
func (f *promptFlags) check() error {
	if f.labels == nil {
		if f.prompts != nil {
			return uierr.New("--prompt: of which classes is not said", "give --labels NAME,NAME")
		}
		return nil
	}
	if err := f.labels.check("--labels"); err != nil {
		return err
	}
	return texts.CheckPrompts("--prompt", f.prompts)
}

// chooses says whether a model without a classifier can be asked by the names of
// classes.
func chooses(path string) bool {
	l, err := network.LoadLocal(path, nil, network.Tokens{}, 0)
	return err == nil && l.Bare && hf.HasText(path)
}

const (
	aLine = "give a text on each line"
	aFile = "name a file of texts, or - for the input"
)

// textLines are the texts of a file, one a line.
func textLines(path string) ([]string, error) {
	var in io.Reader = os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, uierr.Wrap(err, fmt.Sprintf("--texts %s: %v", path, err), aFile)
		}
		defer f.Close()
		in = f
	}
	var out []string
	at := map[string]int{} // line of each
	s := bufio.NewScanner(in)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		text, line := strings.TrimSuffix(s.Text(), "\r"), len(out)+1
		if line == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // which editors of Windows put before a text
		}
		switch first := at[text]; {
		case strings.TrimSpace(text) == "":
			return nil, uierr.New(fmt.Sprintf("--texts %s: line %d is empty", path, line), aLine)
		case !utf8.ValidString(text):
			return nil, uierr.New(fmt.Sprintf("--texts %s: line %d is no text in UTF-8", path, line), "save the file as UTF-8")
		case first > 0:
			return nil, uierr.New(fmt.Sprintf("--texts %s: lines %d and %d are the same, and a text is its embedding's name",
				path, first, line), "give every text once")
		}
		at[text], out = line, append(out, text)
	}
	if err := s.Err(); err != nil {
		hint := aFile
		if errors.Is(err, bufio.ErrTooLong) {
			hint = aLine
		}
		return nil, uierr.Wrap(err, fmt.Sprintf("--texts %s: %v", path, err), hint)
	}
	if len(out) == 0 {
		return nil, uierr.New(fmt.Sprintf("--texts %s: holds no text", path), aLine)
	}
	return out, nil
}
