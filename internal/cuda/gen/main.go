// Command gen writes what a build with the tag gpu needs in place of a CUDA
// toolkit, into a folder that is not checked in:
//
//	include/cuda.h   the driver API as gorgonia.org/cu v0.9.6 knows it
//	lib/libcuda.a    one jump per driver function, filled in when libcuda.so.1
//	                 is opened at run time (stub.go)
//
// The declarations come from the header inside gorgonia.org/cu itself, so
// nothing of NVIDIA's is downloaded or redistributed.
//
//	go run ./internal/cuda/gen -out .build/gpu
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	out := flag.String("out", ".build/gpu", "folder to write")
	flag.Parse()
	if err := generate(*out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func generate(out string) error {
	dir, err := moduleDir("gorgonia.org/cu")
	if err != nil {
		return err
	}
	src, err := os.ReadFile(filepath.Join(dir, "cmd", "genlib", "cuda.h"))
	if err != nil {
		return err
	}
	header, err := wrapHeader(string(src))
	if err != nil {
		return err
	}
	stub, err := stubSource(functions(string(src)))
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"include/cuda.h": header, "src/stub.c": stub} {
		path := filepath.Join(out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return archive(out)
}

// moduleDir is where the source of a module that go.mod names stands. It is
// downloaded first: a build without the tag gpu never reads it, so that a new
// machine has it nowhere.
func moduleDir(path string) (string, error) {
	b, err := output("go", "mod", "download", "-json", path)
	var m struct{ Dir, Error string }
	if e := json.Unmarshal([]byte(b), &m); e == nil && m.Error != "" {
		return "", fmt.Errorf("download %s: %s", path, m.Error)
	}
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	if m.Dir == "" {
		return "", fmt.Errorf("find %s: 'go mod download' named no folder", path)
	}
	return m.Dir, nil
}

// archive compiles the stub with the C compiler that cgo will use.
func archive(out string) error {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	obj, lib := filepath.Join(out, "src", "stub.o"), filepath.Join(out, "lib", "libcuda.a")
	if err := os.MkdirAll(filepath.Dir(lib), 0o755); err != nil {
		return err
	}
	if err := os.Remove(lib); err != nil && !os.IsNotExist(err) {
		return err
	}
	args := append(strings.Fields(cc)[1:], "-O2", "-fPIC", "-Wall", "-Werror", "-c", "-o", obj,
		filepath.Join(out, "src", "stub.c"))
	if _, err := output(strings.Fields(cc)[0], args...); err != nil {
		return err
	}
	_, err := output("ar", "rcs", lib, obj)
	return err
}

func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(b), err
}

// jumps are the instructions of one stub: to the address kept at symbol_ptr.
var jumps = map[string]string{
	"amd64": `	jmp *%s_ptr(%%rip)`,
	"arm64": "	adrp x16, %[1]s_ptr\n	ldr x16, [x16, :lo12:%[1]s_ptr]\n	br x16",
}

func jump(symbol string) (string, error) {
	arch := os.Getenv("GOARCH")
	if arch == "" {
		arch = runtime.GOARCH
	}
	form, ok := jumps[arch]
	if !ok {
		return "", fmt.Errorf("no stub for %s: only amd64 and arm64 have CUDA drivers", arch)
	}
	return fmt.Sprintf(form, symbol), nil
}
