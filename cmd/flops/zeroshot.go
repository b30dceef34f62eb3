package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/texts"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

// promptFlags name classes for a model that compares images with texts.
type promptFlags struct {
	labels  []string
	prompts []string
}

func (f *promptFlags) addPrompts(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.prompts, "prompt", nil,
		"text of a class, {} standing for its name; several are averaged (default \""+texts.Default+"\")")
}

func (f *promptFlags) addLabels(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.labels, "labels", nil, "classes that a CLIP or SigLIP chooses among, parted by commas")
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
	seen := map[string]bool{}
	for i, l := range f.labels {
		l = strings.TrimSpace(l)
		switch f.labels[i] = l; {
		case l == "":
			return uierr.New("--labels: a class without a name", "give --labels NAME,NAME")
		case seen[l]:
			return uierr.New(fmt.Sprintf("--labels: %q stands twice", l), "name each class once")
		}
		seen[l] = true
	}
	return texts.CheckPrompts("--prompt", f.prompts)
}

// chooses says whether a model without a classifier can be asked by the names of
// classes.
func chooses(path string) bool {
	l, err := network.LoadLocal(path, nil, network.Tokens{}, 0)
	return err == nil && l.Bare && hf.HasText(path)
}

const aLine = "give a text on each line"

// textLines are the texts of a file, one a line.
func textLines(path string) ([]string, error) {
	var in io.Reader = os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, uierr.Wrap(err, fmt.Sprintf("--texts %s: %v", path, err), "name a file of texts, or - for the input")
		}
		defer f.Close()
		in = f
	}
	var out []string
	s := bufio.NewScanner(in)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		text := strings.TrimSuffix(s.Text(), "\r")
		if strings.TrimSpace(text) == "" {
			return nil, uierr.New(fmt.Sprintf("--texts %s: line %d is empty", path, len(out)+1), aLine)
		}
		out = append(out, text)
	}
	if err := s.Err(); err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("--texts %s: %v", path, err), aLine)
	}
	if len(out) == 0 {
		return nil, uierr.New(fmt.Sprintf("--texts %s: holds no text", path), aLine)
	}
	return out, nil
}
