//go:build unix

package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/oip"
)

// lean answers two classes of 8×8 images with sums of their halves, slowly
// enough for a run to be met in the middle.
type lean struct{}

func (lean) Spec() oip.Spec {
	return oip.Spec{Name: "lean", Channels: 3, Height: 8, Width: 8, Classes: 4}
}

func (lean) Logits(_ context.Context, x []float32, n int) ([]float32, error) {
	time.Sleep(2 * time.Millisecond)
	out := make([]float32, 4*n)
	for i := range n {
		for j, v := range x[i*192 : (i+1)*192] {
			out[4*i+j/48] += v / 48
		}
	}
	return out, nil
}

const leanYAML = `
model: {kind: remote, name: lean, retries: 1, timeout: 2s, max_batch: 8}
data: {kind: shapes, size: 8, count: 32, test_count: 8}
prompt: {kind: frame, width: 1, mapping: {kind: identity}}
sites: {blocks: none, classifier: false}
estimator: {name: weight, sigma: 0.1}
allocator: {name: uniform, features: loss}
budget: {queries_per_image: 8, max_queries: 2500}
train: {steps: 1000, batch_size: 8, device: cpu}
checkpoint: {every: 3}
`

// begin starts a run and waits until it has saved something past its start.
func begin(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	c := program(t, args...)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if raw, err := os.ReadFile(filepath.Join(dir, "checkpoints", "last")); err == nil && string(raw) != "step-0\n" {
			return c
		}
		if time.Now().After(until) {
			_ = c.Process.Kill()
			t.Fatal("the run saves nothing")
		}
	}
}

// A run folder has one writer: a second process is refused by the name of the
// first, and let in as soon as that one is gone, killed or not. The model behind
// the run answers at most budget.max_queries images in all of it.
func TestOneWriter(t *testing.T) {
	h, err := oip.NewHandler(lean{})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	defer s.Close()
	dir := t.TempDir()
	cfg, out := filepath.Join(dir, "lean.yaml"), filepath.Join(dir, "run")
	if err := os.WriteFile(cfg, []byte(leanYAML), 0o644); err != nil {
		t.Fatal(err)
	}
	c := begin(t, out, "train", "--config", cfg, "--set", "model.url="+s.URL, "--output", out)
	for _, args := range [][]string{{"train", "--resume", out}, {"train", "--resume", out + "/."}} {
		second := program(t, args...)
		var said bytes.Buffer
		second.Stderr = &said
		_ = second.Run()
		want := regexp.MustCompile(`^flops: error: .*another process writes to this folder ` +
			`\(process \d+ on .* since 20.*\)\nflops: hint: `)
		if second.ProcessState.ExitCode() != 2 || !want.MatchString(said.String()) {
			t.Errorf("%v beside the run: status %d\n%s", args, second.ProcessState.ExitCode(), &said)
		}
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	both := []*exec.Cmd{program(t, "train", "--resume", out), program(t, "train", "--resume", out)}
	for _, p := range both {
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
	var ends []string
	for _, p := range both {
		_ = p.Wait()
		ends = append(ends, p.ProcessState.String())
	}
	if got := strings.Join(ends, ", "); got != "exit status 0, exit status 2" && got != "exit status 2, exit status 0" {
		t.Errorf("two resumes at once: %s", got)
	}
	if n := h.Stats().Images; n > 2500 {
		t.Errorf("the server answered %d images, budget.max_queries is 2500", n)
	}
	if _, err := os.Stat(filepath.Join(out, "run.pid")); err == nil {
		t.Error("the holder of the lock is named after its end")
	}
}
