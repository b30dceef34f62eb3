package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/fsys/fault"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/rogpeppe/go-internal/testscript"
)

// argsEnv has the command line of flops in a child process (TestProgram), as JSON.
const argsEnv = "FLOPS_TEST_ARGS"

func TestMain(m *testing.M) {
	fault.Hurry()
	if os.Getenv(argsEnv) != "" { // it ends as flops does, and would leave the copy of itself that testscript makes
		os.Exit(m.Run())
	}
	testscript.Main(m, map[string]func(){"flops": func() { stubDevice(); os.Exit(run()) }})
}

// TestScripts runs the commands as a user would: each file of testdata/script
// is named by what it runs and checks exit status, standard output and standard
// error.
func TestScripts(t *testing.T) {
	shared := os.Getenv("FLOPS_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	shared, err := filepath.Abs(shared)
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	pictures, err := filepath.Abs("../../internal/imagefile/testdata")
	if err != nil {
		t.Fatal(err)
	}
	zoo, err := filepath.Abs("../../testdata/zoo")
	if err != nil {
		t.Fatal(err)
	}
	words, err := filepath.Abs("../../testdata/texts")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("SHARED", shared)
			e.Setenv("EXAMPLES", examples)
			e.Setenv("PICTURES", pictures)
			e.Setenv("ZOO", zoo)
			e.Setenv("TEXTS", words)
			for _, name := range []string{"ADDR", "ADDR2"} { // free a moment ago, for servers
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				defer l.Close()
				e.Setenv(name, l.Addr().String())
			}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "shared" {
				_, err := os.Stat(filepath.Join(shared, "models/vit-cifar5"))
				return err == nil, nil
			}
			return cond == "avx512" && slices.Contains(kernel.Kernels(), "avx512"), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"mistake": mistake, "damage": damage, "photos": photos,
			"accuracies": accuracies, "same": sameAgain, "unwritten": unwritten,
			"measured": measured, "repeats": repeats, "spentUnder": spentUnder, "events": events, "blind": blind},
	})
}

var twoLines = regexp.MustCompile(`^flops: error: [^\n]+\nflops: hint: [^\n]+\n$`)

// mistake runs flops and wants the answer to a user's mistake: exit status 2,
// and on standard error one line saying what is wrong and one saying what to do,
// nothing else, so no stack trace either.
//
//	mistake train --config misspelt.yaml
func mistake(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("! mistake: no such form; use exec")
	}
	err := ts.Exec("flops", args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		ts.Fatalf("flops %s: %v, want exit status 2", strings.Join(args, " "), err)
	}
	if text := ts.ReadFile("stderr"); !twoLines.MatchString(text) {
		ts.Fatalf("flops %s: not an error and a hint:\n%s", strings.Join(args, " "), text)
	}
}

// photos writes a few images as class folders.
//
//	photos DIR
func photos(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: photos DIR")
	}
	d := config.Default().Data
	d.Kind, d.Count, d.TestCount, d.Size = "shapes", 48, 24, 16
	for _, split := range []string{data.Train, data.Test} {
		_, err := exportPart(data.Part{Name: split, Split: split, Config: d}, split, ts.MkAbs(args[0]),
			func(w string) { ts.Fatalf("%s", w) })
		ts.Check(err)
	}
}

// sameAgain evaluates the last checkpoint of a run and wants the loss that the run
// measured at its end.
//
//	same RUN
func sameAgain(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: same RUN")
	}
	ts.Check(ts.Exec("flops", "eval", "--checkpoint", filepath.Join(args[0], "checkpoints", "last"), "--json"))
	told := regexp.MustCompile(`"loss":([0-9.]+)`).FindStringSubmatch(ts.ReadFile("stdout"))
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(filepath.Join(args[0], "summary.csv"))), "\n")
	at := slices.Index(strings.Split(lines[0], ","), "test_loss")
	if told == nil || at < 0 {
		ts.Fatalf("%v: no loss among %s", told, lines[0])
	}
	ran := strings.Split(lines[len(lines)-1], ",")[at]
	a, err := strconv.ParseFloat(told[1], 64)
	ts.Check(err)
	b, err := strconv.ParseFloat(ran, 64)
	ts.Check(err)
	if math.Abs(a-b) > 1e-5*b {
		ts.Fatalf("the run measured a loss of %s, its checkpoint has %s", ran, told[1])
	}
}

// accuracies wants the same accuracy in two answers of eval --json.
//
//	accuracies A B
func accuracies(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: accuracies A B")
	}
	var top [2]string
	for i, name := range args {
		m := regexp.MustCompile(`"top1":([0-9.]+)`).FindStringSubmatch(ts.ReadFile(name))
		if m == nil {
			ts.Fatalf("%s has no top1", name)
		}
		top[i] = m[1]
	}
	if top[0] != top[1] {
		ts.Fatalf("accuracies %s and %s", top[0], top[1])
	}
}

// unwritten wants a text in no file of a folder, by name or content.
//
//	unwritten TEXT DIR
func unwritten(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: unwritten TEXT DIR")
	}
	files := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		files++
		raw, err := os.ReadFile(path)
		if err == nil && strings.Contains(path+string(raw), args[0]) {
			err = fmt.Errorf("%s holds %q", path, args[0])
		}
		return err
	}))
	if files == 0 {
		ts.Fatalf("%s has no files", args[1])
	}
}

// damage makes a broken copy of a safetensors file.
//
//	damage cut FROM TO      ends in the middle of the header
//	damage lie FROM TO      the header's length is a number no file has
//	damage short FROM TO    the last tensor's bytes are missing
//	damage nan FROM TO      a bias of the classifier is not a number
//	damage headless FROM TO the classifier is missing
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: damage cut|lie|short|nan|headless FROM TO")
	}
	if change := tensorDamage[args[0]]; change != nil {
		tensors, meta, err := safetensors.ReadFile(ts.MkAbs(args[1]))
		ts.Check(err)
		ts.Check(safetensors.WriteFile(fsys.OS, ts.MkAbs(args[2]), change(tensors), safetensors.F32, meta))
		return
	}
	raw, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	switch args[0] {
	case "cut":
		raw = raw[:100]
	case "lie":
		copy(raw, "\xff\xff\xff\xff\xff\xff\xff\x7f")
	case "short":
		raw = raw[:len(raw)-4]
	default:
		ts.Fatalf("damage: no way %q", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), raw, 0o644))
}

// tensorDamage is damage to the tensors of a file that stays sound.
var tensorDamage = map[string]func([]safetensors.Tensor) []safetensors.Tensor{
	"nan": func(all []safetensors.Tensor) []safetensors.Tensor {
		for _, t := range all {
			if t.Name == "classifier.bias" {
				t.Data[1] = float32(math.NaN())
			}
		}
		return all
	},
	"headless": func(all []safetensors.Tensor) []safetensors.Tensor {
		return slices.DeleteFunc(all, func(t safetensors.Tensor) bool { return strings.HasPrefix(t.Name, "classifier.") })
	},
}
