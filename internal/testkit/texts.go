package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

// TextModels are the folders of whole models with a text tower and what PyTorch
// answers, for a package two folders below the root: those of scripts/make-text-zoo.py,
// and those of the shared folder where it is.
func TextModels(t testing.TB) []string {
	t.Helper()
	dirs, err := filepath.Glob("../../testdata/texts/*")
	if err != nil || len(dirs) < 3 {
		t.Fatalf("%v %v", dirs, err)
	}
	for _, name := range []string{"clip", "clip-laion", "clip-eos2", "siglip", "siglip2-fixed", "open-clip",
		"open-clip-quickgelu"} {
		dir := filepath.Join(sharedRoot(), "models", "zoo", name)
		if _, err := os.Stat(dir); err == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}
