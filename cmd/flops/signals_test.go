//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestProgram is flops itself in a child process; on its own it does nothing.
func TestProgram(t *testing.T) {
	raw := os.Getenv(argsEnv)
	if raw == "" {
		t.Skip("only run by other tests")
	}
	var args []string
	if err := json.Unmarshal([]byte(raw), &args); err != nil {
		t.Fatal(err)
	}
	os.Args = append([]string{"flops"}, args...)
	os.Exit(run())
}

// program is a command that runs flops.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestProgram$")
	c.Env = append(os.Environ(), argsEnv+"="+string(raw))
	return c
}

const tinyYAML = `
model: {arch: {image: 8, patch: 4, hidden: 8, layers: 1, heads: 2, mlp: 16}}
data: {kind: shapes, size: 8, count: 32, test_count: 8}
budget: {queries_per_image: 4}
train: {steps: 1000000, batch_size: 8, device: cpu}
`

// TestSignals: a first signal finishes the step, saves and says how to go on;
// a second one leaves at once. Both end with status 130.
func TestSignals(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		for _, twice := range []bool{false, true} {
			dir := t.TempDir()
			cfg, out := filepath.Join(dir, "tiny.yaml"), filepath.Join(dir, "run")
			if err := os.WriteFile(cfg, []byte(tinyYAML), 0o644); err != nil {
				t.Fatal(err)
			}
			c := program(t, "train", "--config", cfg, "--output", out, "--log-format", "json")
			var stderr bytes.Buffer
			c.Stderr = &stderr
			stdout, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			n := 0
			for lines.Scan() {
				var v struct {
					Event string         `json:"event"`
					Data  map[string]any `json:"data"`
				}
				if err := json.Unmarshal(lines.Bytes(), &v); err != nil || v.Event == "" {
					t.Fatalf("with --log-format json: %q: %v", lines.Text(), err)
				}
				if n++; n == 3 {
					_ = c.Process.Signal(sig)
					if twice {
						time.Sleep(time.Millisecond)
						_ = c.Process.Signal(sig)
					}
				}
			}
			_ = c.Wait()
			if got := c.ProcessState.ExitCode(); got != 130 {
				t.Errorf("%v, twice %v: status %d\n%s", sig, twice, got, &stderr)
			}
			if twice {
				continue
			}
			for _, want := range []string{"finishing this step", "everything is saved in", "flops train --resume " + out} {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("%v: no %q in\n%s", sig, want, &stderr)
				}
			}
			if _, err := os.Stat(filepath.Join(out, "checkpoints", "last")); err != nil {
				t.Error(err)
			}
		}
	}
}
