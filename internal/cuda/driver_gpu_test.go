//go:build gpu

package cuda

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

// TestThroughTheDriver runs the tests of this package once more through
// gorgonia.org/cu and driver_gpu.go, on a libcuda.so.1 that computes on the
// host (testdata/libcuda.cpp): contexts, streams, launches and copies are made
// as on a GPU.
func TestThroughTheDriver(t *testing.T) {
	if os.Getenv("FLOPS_TEST_DEVICE") != "" {
		t.Skip("this is the other run")
	}
	if ok, _ := Available(); ok {
		t.Skip("there is a device here: run the tests with FLOPS_TEST_DEVICE=cuda")
	}
	lib, skip := buildShared("testdata/libcuda.cpp")
	if skip != "" {
		t.Skip(skip)
	}
	dir := filepath.Dir(lib)
	defer os.RemoveAll(dir)
	if err := os.Rename(lib, filepath.Join(dir, "libcuda.so.1")); err != nil {
		t.Fatal(err)
	}
	blas, skip := buildShared("testdata/cublas.cpp")
	if skip != "" {
		t.Skip(skip)
	}
	defer os.RemoveAll(filepath.Dir(blas))
	for _, name := range []string{"libcublas.so.12", "libcublasLt.so.12"} {
		text, err := os.ReadFile(blas)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for library, engine := range map[string]string{"/nonexistent": "own kernels (fp32)",
		filepath.Join(dir, "libcublas.so.12"): "libcublas.so.12 and Lt (fp32)"} {
		cmd := exec.Command(os.Args[0], "-test.short", "-test.v")
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir, "FLOPS_TEST_DEVICE=cuda", "FLOPS_TEST_DRIVER=host",
			"FLOPS_BENCH=tiny", "FLOPS_CUBLAS="+library)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, name := range []string{"TestModelIsTheCPUs", "TestGemm", "TestOldDevice"} {
			if !strings.Contains(string(out), "--- PASS: "+name) {
				t.Errorf("%s did not run through the driver:\n%s", name, out)
			}
		}
		if !strings.Contains(string(out), engine) {
			t.Errorf("the products were not computed by %s:\n%s", engine, out)
		}
	}
}

// TestProbe says which device the others run on.
func TestProbe(t *testing.T) {
	d := testDriver(t)
	free, total, err := d.Memory()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("device: %s, %.1f of %.1f GiB free\n", d.Name(), float64(free)/(1<<30), float64(total)/(1<<30))
}

// TestOldDevice asks for devices that the kernels do not run on and that do not
// exist. The tests' driver lists two, of which the second is a Pascal card.
func TestOldDevice(t *testing.T) {
	if os.Getenv("FLOPS_TEST_DRIVER") != "host" {
		t.Skip("needs the tests' driver")
	}
	for spec, want := range map[string]string{"cuda:1": "compute capability 6", "cuda:2": "there are 2 CUDA devices"} {
		_, err := OpenDriver(spec)
		if u, ok := uierr.As(err); !ok || !strings.Contains(u.What, want) {
			t.Errorf("%s gives %v", spec, err)
		}
	}
}
