//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/oip"
)

// status runs flops to its end.
func status(t *testing.T, out io.Writer, args ...string) (int, string) {
	t.Helper()
	c := program(t, args...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = out, &said
	_ = c.Run()
	return c.ProcessState.ExitCode(), said.String()
}

// A model that goes wrong while a run calls it is a failure, with two lines and
// status 1; one that is named wrong is a mistake, with status 2.
func TestStatusOfCalledModels(t *testing.T) {
	h, err := oip.NewHandler(lean{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := filepath.Join(dir, "lean.yaml")
	if err := os.WriteFile(cfg, []byte(leanYAML), 0o644); err != nil {
		t.Fatal(err)
	}
	says := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); fmt.Fprint(w, body) }
	}
	nan := `{"outputs":[{"name":"logits","datatype":"FP32","shape":[8,4],"data":[NaN` + strings.Repeat(",1", 31) + `]}]}`
	for name, c := range map[string]struct {
		f    http.HandlerFunc
		sets []string
		want int
	}{
		"busy":       {f: says(503, "busy"), want: 1},
		"NaN":        {f: says(200, nan), want: 1},
		"other page": {f: says(404, "gone"), want: 1},
		"no token":   {f: says(401, "who?"), want: 1},
		"too slow":   {f: func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }, want: 1},
		"breaks off": {f: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: 1},
		"misnamed":   {f: h.ServeHTTP, sets: []string{"model.name=other"}, want: 2},
		"too small":  {f: h.ServeHTTP, sets: []string{"budget.max_queries=9"}, want: 2},
		"nobody":     {f: h.ServeHTTP, sets: []string{"model.url=http://127.0.0.1:1"}, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/infer") && asked.Add(1) > 20 {
					c.f(w, r)
					return
				}
				h.ServeHTTP(w, r)
			}))
			defer s.Close()
			args := []string{"train", "--config", cfg, "--set", "model.url=" + s.URL, "--set", "model.timeout=300ms", "-o",
				filepath.Join(t.TempDir(), "r")}
			for _, set := range c.sets {
				args = append(args, "--set", set)
			}
			code, said := status(t, nil, args...)
			if code != c.want || !twoLines.MatchString(withoutWarnings(said)) {
				t.Errorf("status %d, want %d\n%s", code, c.want, said)
			}
		})
	}
}

func withoutWarnings(s string) string {
	var out strings.Builder
	for l := range strings.Lines(s) {
		if !strings.HasPrefix(l, "flops: warning: ") {
			out.WriteString(l)
		}
	}
	return out.String()
}

// tinyRun is a finished run of three steps.
func tinyRun(t *testing.T, sets ...string) string {
	t.Helper()
	dir := t.TempDir()
	cfg, out := filepath.Join(dir, "tiny.yaml"), filepath.Join(dir, "run")
	if err := os.WriteFile(cfg, []byte(tinyYAML), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"train", "--config", cfg, "-o", out, "--set", "train.steps=3"}
	for _, s := range sets {
		args = append(args, "--set", s)
	}
	if code, said := status(t, nil, args...); code != 0 {
		t.Fatalf("status %d\n%s", code, said)
	}
	return out
}

// A result that cannot be printed is a failure of every command that prints.
func TestFullOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	run := tinyRun(t)
	last := filepath.Join(run, "checkpoints", "step-3")
	cfg := filepath.Join(run, "config.yaml")
	again := filepath.Join(t.TempDir(), "again")
	for _, args := range [][]string{
		{"version"}, {"--help"}, {"journal", run}, {"model", "inspect", last}, {"model", "inspect", last, "--json"},
		{"config", "show", "--config", cfg},
		{"config", "validate", "--config", cfg}, {"config", "schema"}, {"eval", "--config", cfg, "--checkpoint", last},
		{"report", run, "--images", "0"},
		{"replay", run, "--to", "2"}, {"completion", "bash"}, {"train", "--config", cfg, "-o", again},
	} {
		code, said := status(t, full, args...)
		if code != 1 || !strings.Contains(said, "flops: error: standard output: ") ||
			!twoLines.MatchString(withoutWarnings(said)) {
			t.Errorf("flops %s into a full disk: status %d\n%s", strings.Join(args, " "), code, said)
		}
	}
	if _, err := os.Stat(filepath.Join(again, "checkpoints", "step-3")); err != nil {
		t.Errorf("the run did not go on where its lines could not be printed: %v", err)
	}
}

// A run that diverges has failed; what was saved is there.
func TestStatusOfDivergence(t *testing.T) {
	dir := t.TempDir()
	cfg := filepath.Join(dir, "tiny.yaml")
	if err := os.WriteFile(cfg, []byte(tinyYAML), 0o644); err != nil {
		t.Fatal(err)
	}
	code, said := status(t, nil, "train", "--config", cfg, "-o", filepath.Join(dir, "r"), "--set", "optimizer.lr=1000",
		"--set", "optimizer.name=sgd", "--set", "optimizer.clip=0", "--set", "train.steps=9")
	if code != 1 || !strings.Contains(said, "flops: hint: ") {
		t.Errorf("status %d\n%s", code, said)
	}
}

// A page that finds no room is not written at all, and what stood there stays.
func TestReportIsWhole(t *testing.T) {
	run := tinyRun(t)
	page := filepath.Join(run, "report.html")
	if err := os.WriteFile(page, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := "ulimit -f 8; exec \"$0\" -test.run=^TestProgram$"
	c := program(t, "report", run, "--images", "0")
	sh := exec.Command("sh", "-c", args, c.Path)
	sh.Env = c.Env
	var said bytes.Buffer
	sh.Stderr = &said
	_ = sh.Run()
	raw, err := os.ReadFile(page)
	if code := sh.ProcessState.ExitCode(); code != 1 || err != nil || string(raw) != "before" {
		t.Errorf("status %d, %d bytes of a page, %v\n%s", code, len(raw), err, &said)
	}
	left, _ := filepath.Glob(filepath.Join(run, ".report*"))
	if len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if code, _ := status(t, nil, "report", run, "--images", "0", "-o", filepath.Join(run, "none", "x.html")); code != 2 {
		t.Errorf("a folder that is not there: status %d", code)
	}
	if code, said := status(t, nil, "report", run, "--images", "0", "-o", "/dev/null"); code != 0 {
		t.Errorf("a device: status %d\n%s", code, said)
	}
}

// A hangup, or an output that nobody reads any more, saves like any other stop.
func TestHangup(t *testing.T) {
	// Under nohup this process ignores hangups, and what it starts would; a signal that
	// is waited for is the default in what is started.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	for _, how := range []string{"hangup", "closed pipe", "nohup"} {
		dir := t.TempDir()
		cfg, out := filepath.Join(dir, "tiny.yaml"), filepath.Join(dir, "run")
		if err := os.WriteFile(cfg, []byte(tinyYAML), 0o644); err != nil {
			t.Fatal(err)
		}
		c := program(t, "train", "--config", cfg, "--output", out, "--log-format", "json")
		if how == "nohup" {
			c.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`}, c.Args...)
			c.Path = "/bin/sh"
		}
		var said bytes.Buffer
		c.Stderr = &said
		stdout, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64)
		for range 4 {
			if _, err := stdout.Read(buf); err != nil {
				t.Fatalf("%s: %v\n%s", how, err, &said)
			}
		}
		switch how {
		case "closed pipe":
			_ = stdout.Close()
		case "nohup":
			_ = c.Process.Signal(syscall.SIGHUP)
			go func() { time.Sleep(300 * time.Millisecond); _ = c.Process.Signal(syscall.SIGTERM) }()
			_, _ = io.Copy(io.Discard, stdout)
		default:
			_ = c.Process.Signal(syscall.SIGHUP)
			_ = c.Process.Signal(syscall.SIGHUP) // as the shell and the terminal both send it
			_, _ = io.Copy(io.Discard, stdout)
		}
		_ = c.Wait()
		if code := c.ProcessState.ExitCode(); code != 130 || !strings.Contains(said.String(), "everything is saved in") {
			t.Errorf("%s: status %d\n%s", how, code, &said)
		}
		if how == "nohup" && strings.Count(said.String(), "finishing") != 1 {
			t.Errorf("nohup: %s", &said)
		}
	}
}
