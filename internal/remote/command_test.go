package remote

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/oip"
)

// TestMain lets the test binary be the program behind a Command: its behaviour
// is named by an environment variable.
func TestMain(m *testing.M) {
	if how := os.Getenv("FLOPS_TEST_PROGRAM"); how != "" {
		program(how)
		return
	}
	os.Exit(m.Run())
}

// program speaks the framing, over the small model, and misbehaves as how says.
// State across restarts is a file whose size counts the starts.
func program(how string) {
	how, arg, _ := strings.Cut(how, ":")
	if how == "noise" {
		fmt.Println("Loading the model, please wait ...")
	}
	in, out := bufio.NewReader(os.Stdin), os.Stdout
	s := small().spec
	s.Input, s.Output = "x", "y"
	for calls := 0; ; calls++ {
		h, x, err := readFrame(in, 1<<20)
		if err != nil {
			return
		}
		if h.Type == "describe" {
			meta := s.Metadata()
			if how == "describe" {
				meta.Inputs[0].Datatype = "UINT8"
			}
			_ = writeFrame(out, frameHeader{Type: "model", Name: s.Name, Inputs: meta.Inputs, Outputs: meta.Outputs}, nil)
			continue
		}
		n := int(h.Shape[0])
		v, _ := small().Logits(context.Background(), x, n)
		switch how {
		case "crash": // in the second request of every start but the third
			if calls == 2 && starts(arg) < 3 {
				fmt.Fprintln(os.Stderr, "Segmentation fault, sort of")
				os.Exit(3)
			}
		case "late":
			if starts(arg) < 3 {
				time.Sleep(time.Minute)
			}
		case "shape":
			n++
		case "short":
			v = v[1:]
		case "nan":
			v[1] = float32(math.NaN())
		case "error":
			_ = writeFrame(out, frameHeader{Type: "error", ID: h.ID, Error: "no such luck"}, nil)
			continue
		case "busy":
			if starts(arg) < 3 {
				_ = writeFrame(out, frameHeader{Type: "error", ID: h.ID, Error: "busy", Retry: true}, nil)
				continue
			}
		case "id":
			h.ID++
		case "half":
			var b bytes.Buffer
			_ = writeFrame(&b, frameHeader{Type: "logits", ID: h.ID, Shape: []int64{int64(n), 3}}, v)
			_, _ = out.Write(b.Bytes()[:b.Len()-5])
			return
		}
		_ = writeFrame(out, frameHeader{Type: "logits", ID: h.ID, Shape: []int64{int64(n), 3}}, v)
	}
}

// starts counts the calls of itself with the same file.
func starts(file string) int64 {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte{'.'}); err != nil {
		panic(err)
	}
	st, err := f.Stat()
	if err != nil {
		panic(err)
	}
	return st.Size()
}

func runProgram(t *testing.T, how string, p Policy) (*Command, error) {
	t.Helper()
	t.Setenv("FLOPS_TEST_PROGRAM", how)
	c, err := StartCommand(context.Background(), []string{os.Args[0]}, 0, p)
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// TestCommand: a program gives the model's logits; one that crashes, is late or
// busy is replaced or asked again, and each image is counted once.
func TestCommand(t *testing.T) {
	for _, how := range []string{"well", "crash", "late", "busy"} {
		t.Run(how, func(t *testing.T) {
			p := quick()
			p.InFlight, p.Timeout = 1, 20*time.Second
			c, err := runProgram(t, how+":"+filepath.Join(t.TempDir(), "starts"), p)
			if err != nil {
				t.Fatal(err)
			}
			if how == "late" {
				p.Timeout = time.Second // after the start, which a loaded machine may delay
			}
			const n = 10
			m, x, got := NewMeter(0, Counts{}), normals(n*12, 1), make([]float32, n*3)
			if err := newPool(t, c, p, m, nil).Ask(context.Background(), n, images(x, 12), got); err != nil {
				t.Fatal(err)
			}
			want, _ := small().Logits(context.Background(), x, n)
			if !slices.Equal(got, want) {
				t.Error("logits differ")
			}
			if s := m.Counts(); s.Images != n || s.Requests != 3 || (s.Retried == 0) != (how == "well") {
				t.Errorf("counted %+v", s)
			}
		})
	}
}

func TestBadPrograms(t *testing.T) {
	for how, words := range map[string][]string{
		"noise":    {"standard output", "Load"},
		"describe": {"inputs[0].datatype", "UINT8"},
		"shape":    {"logits.shape is [3 3], want [2 3]"},
		"short":    {"bytes is 20, the shape says 24"},
		"nan":      {"logits.data holds NaN for image 0, class 1"},
		"error":    {"no such luck"},
		"id":       {"id 2, want logits and 1"},
		"half":     {"the program ended", "gave up after 2 tries"},
	} {
		t.Run(how, func(t *testing.T) {
			p := quick()
			p.Retries, p.Timeout = 1, 20*time.Second
			c, err := runProgram(t, how, p)
			if err == nil {
				_, err = ask(t, c, p, 2)
			}
			userError(t, err, append(words, "model.argv")...)
		})
	}
	_, err := StartCommand(context.Background(), []string{filepath.Join(t.TempDir(), "nothing")}, 0, quick())
	userError(t, err, "model.argv", "cannot be started")
	_, err = StartCommand(context.Background(), nil, 0, quick())
	userError(t, err, "model.argv")
}

// TestLastWords: what a program that dies at once had to say is quoted.
func TestLastWords(t *testing.T) {
	p := quick()
	p.Retries, p.Timeout = 0, 20*time.Second
	c, err := runProgram(t, "crash:"+filepath.Join(t.TempDir(), "starts"), p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ask(t, c, Policy{InFlight: 1, MaxBatch: 4, Timeout: 20 * time.Second}, 8)
	userError(t, err, "exit status 3", "Segmentation fault, sort of")
}

// TestPythonExample: examples/command_model.py speaks the framing.
func TestPythonExample(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	p := quick()
	p.Timeout = 30 * time.Second
	c, err := StartCommand(context.Background(),
		[]string{python, "../../examples/command_model.py", "3", "1", "4", "3"}, 0, p)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := oip.Spec{Name: "linear", Input: "pixel_values", Output: "logits", Channels: 1, Height: 4, Width: 3, Classes: 3}
	if s := c.Spec(); !reflect.DeepEqual(s, want) {
		t.Errorf("spec %+v", s)
	}
	// The model is linear: logits of a sum are sums of logits, to float32
	// rounding of numbers of order 1.
	x := normals(24, 4)
	for i := range 12 {
		x = append(x, x[i]+x[12+i])
	}
	out := make([]float32, 9)
	if err := c.Call(context.Background(), x, 3, out); err != nil {
		t.Fatal(err)
	}
	for k := range 3 {
		if math.Abs(float64(out[k]+out[3+k]-out[6+k])) > 1e-5 || out[k] == 0 {
			t.Errorf("class %d: %v + %v is not %v", k, out[k], out[3+k], out[6+k])
		}
	}
}

func FuzzFrame(f *testing.F) {
	var b bytes.Buffer
	if err := writeFrame(&b, frameHeader{Type: "logits", ID: 1, Shape: []int64{1, 3}}, []float32{1, 2, 3}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("Loading ..."))
	f.Add([]byte("\x0d\x00\x00\x00{\"bytes\":-4 }"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, v, err := readFrame(bufio.NewReader(bytes.NewReader(b)), 64)
		if err == nil && len(v) > 16 {
			t.Errorf("%d values over the limit", len(v))
		}
		if err != nil && !errors.Is(err, errFraming) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error %v", err)
		}
	})
}
