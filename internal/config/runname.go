package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// notName is what no name of a run holds, as it names a folder under runs/ on
// every system: separators, control characters, what begins with a dash (a flag
// to other commands), . and .., ends that Windows drops, and its device names.
const notName = `[/\\:\x00-\x1f\x7f-\x9f` + "\uFFFD" + `]|^-|^\.\.?$|[. ]$` +
	`|^([cC][oO][nN]|[pP][rR][nN]|[aA][uU][xX]|[nN][uU][lL]|([cC][oO][mM]|[lL][pP][tT])[1-9])(\.|$)`

var badName = regexp.MustCompile(notName)

// names checks the name of a run.
func names(c *Config) error {
	if !badName.MatchString(c.Name) {
		return nil
	}
	return uierr.New(fmt.Sprintf("name: %q names no folder under runs/", c.Name),
		"use a plain name such as my-run; --output names any folder for a run")
}

// nameOf is the name of an experiment whose file gives none.
func nameOf(path string) string {
	n := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if n == "" || badName.MatchString(n) {
		return "run"
	}
	return n
}
