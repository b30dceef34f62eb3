package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFigure: the pictures are those that the results beside them give, and the numbers
// that README.md says of them are printed.
func TestFigure(t *testing.T) {
	dir := t.TempDir()
	raw, err := os.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, data), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if err := run(&said, dir, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"signs10-light.svg", "signs10-dark.svg"} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is another picture than %s gives; go run ./docs/figures draws it", name, data)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(said.String(), "\n")[:len(arms)] {
		f := strings.Fields(line[21:])
		if number := f[0] + " ± " + strings.TrimPrefix(f[1], "±"); !bytes.Contains(readme, []byte(number)) {
			t.Errorf("README.md does not say %s, which is what the results give", number)
		}
	}
}
