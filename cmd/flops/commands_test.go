package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// do runs a command line and returns what it printed.
func do(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := root(&out)
	c.SetErr(&out)
	c.SetArgs(args)
	err := c.Execute()
	return out.String(), err
}

func must1(t *testing.T, args ...string) string {
	t.Helper()
	out, err := do(t, args...)
	if err != nil {
		t.Fatalf("flops %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// shapes writes a small dataset as class folders.
func shapes(t *testing.T) string {
	t.Helper()
	d := config.Default().Data
	d.Kind, d.Count, d.TestCount, d.Size = "shapes", 12, 6, 8
	dir := filepath.Join(t.TempDir(), "shapes")
	for _, split := range []string{data.Train, data.Test} {
		if _, err := exportPart(data.Part{Name: split, Split: split, Config: d}, split, dir,
			func(w string) { t.Error(w) }); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDataCommands(t *testing.T) {
	dir := shapes(t)
	sheet := filepath.Join(t.TempDir(), "sheet.png")
	var r data.Report
	if err := json.Unmarshal([]byte(must1(t, "data", "inspect", dir, "--json", "--sheet", sheet)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Kind != "folder" || len(r.Splits) != 2 || r.Splits[0].Images != 12 {
		t.Fatalf("inspect found %+v", r)
	}
	if _, err := data.ReadImage(sheet, config.Data{}); err != nil {
		t.Error(err)
	}
	first := r.Splits[0].Classes[1].Class
	out := filepath.Join(t.TempDir(), "some")
	must1(t, "data", "export", "--path", dir, "--classes", first, "--output", out)
	names, err := os.ReadDir(filepath.Join(out, "train"))
	if err != nil || len(names) != 1 || names[0].Name() != first {
		t.Errorf("export of class %s wrote %v, %v", first, names, err)
	}
	bad := filepath.Join(dir, "train", first, "00000.png")
	if err := os.WriteFile(bad, []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	if text := must1(t, "data", "inspect", dir); !strings.Contains(text, "broken: "+bad) {
		t.Errorf("the broken file is not named:\n%s", text)
	}
	for _, args := range [][]string{{"data", "export", "--path", dir}, {"data", "export", "--output", out},
		{"data", "inspect", filepath.Join(dir, "none")}} {
		if _, err := do(t, args...); !isMistake(err) {
			t.Errorf("flops %s: %v, want a mistake with a hint", strings.Join(args, " "), err)
		}
	}
}

func isMistake(err error) bool {
	e, ok := uierr.As(err)
	return ok && e.Hint != ""
}

func TestModelCommands(t *testing.T) {
	l, err := network.NewLocal(config.Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 8, Layers: 1, Heads: 2, MLP: 16},
		[]string{"a", "b"}, network.Tokens{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := hf.Save(fsys.OS, dir, l.Model(), safetensors.F32); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "half")
	must1(t, "model", "export", dir, out, "--dtype", "bf16", "--image", "16")
	var s hf.Summary
	if err := json.Unmarshal([]byte(must1(t, "model", "inspect", out, "--json")), &s); err != nil {
		t.Fatal(err)
	}
	if s.ImageSize != 16 || s.Tokens != 17 || s.DTypes["BF16"] != s.Parameters {
		t.Errorf("exported %+v", s)
	}
	if text := must1(t, "model", "inspect", out); !strings.Contains(text, "classes    2: a, b") {
		t.Errorf("inspect printed\n%s", text)
	}
	for _, args := range [][]string{{"model", "export", dir, out}, {"model", "export", dir, out + "2", "--dtype", "f8"},
		{"model", "export", dir, out + "3", "--image", "9"}} {
		if _, err := do(t, args...); !isMistake(err) {
			t.Errorf("flops %s: %v, want a mistake with a hint", strings.Join(args, " "), err)
		}
	}
}

func TestManPages(t *testing.T) {
	dir := t.TempDir()
	must1(t, "man", dir)
	raw, err := os.ReadFile(filepath.Join(dir, "flops-train.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{".TH \"FLOPS\\-TRAIN\"", ".SH SYNOPSIS", `\-\-resume`, ".SH EXAMPLES"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %q in the page of train", want)
		}
	}
	for _, c := range root(io.Discard).Commands() {
		if _, err := os.Stat(filepath.Join(dir, "flops-"+c.Name()+".1")); err != nil && c.IsAvailableCommand() {
			t.Error(err)
		}
	}
}

// TestCompletion asks as a shell does for the names of datasets, estimators and
// allocators.
func TestCompletion(t *testing.T) {
	for typed, want := range map[string]string{
		"estimator.na": "estimator.name=", "estimator.name=a": "estimator.name=activation",
		"allocator.name=ney": "allocator.name=neyman", "data.kind=c": "data.kind=cifar10",
	} {
		out := strings.Split(must1(t, "__complete", "train", "--set", typed), "\n")
		if !slices.Contains(out, want) {
			t.Errorf("--set %s completes to %q, want %s", typed, out, want)
		}
	}
	if out := must1(t, "__complete", "data", "inspect", "--kind", ""); !strings.Contains(out, "parquet") {
		t.Errorf("--kind completes to %q", out)
	}
}

// TestClosedFlags: every flag whose help lists its values, "a, b or c", offers
// those that it lists.
func TestClosedFlags(t *testing.T) {
	listed := regexp.MustCompile(`(?:^|: )((?:[a-z0-9:]+, )*[a-z0-9:]+ or [a-z0-9:]+)(?:$|:)`)
	closed := 0
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			m := listed.FindStringSubmatch(f.Usage)
			if m == nil || f.Value.Type() == "bool" {
				return
			}
			closed++
			out := strings.Split(must1(t, slices.Concat([]string{"__complete"}, path, []string{"--" + f.Name, ""})...), "\n")
			for _, v := range strings.Split(strings.Replace(m[1], " or ", ", ", 1), ", ") {
				if !slices.Contains(out, v) {
					t.Errorf("flops %s --%s offers %q, not %s", strings.Join(path, " "), f.Name, out, v)
				}
			}
		})
		for _, s := range c.Commands() {
			walk(s, append(slices.Clone(path), s.Name()))
		}
	}
	walk(root(io.Discard), nil)
	if closed < 10 {
		t.Errorf("%d flags list their values", closed)
	}
	out := must1(t, "__complete", "eval", "--data", shapes(t), "--split", "")
	if !strings.HasPrefix(out, "train\ntest\n:") {
		t.Errorf("the splits of a folder: %q", out)
	}
	if out := must1(t, "__complete", "compare", "--arms", "uniform,ney"); !strings.HasPrefix(out, "uniform,neyman\n:") {
		t.Errorf("a list: %q", out)
	}
	if _, err := do(t, "train", "--log-format", "xml"); !isMistake(err) {
		t.Errorf("--log-format xml: %v", err)
	}
}
