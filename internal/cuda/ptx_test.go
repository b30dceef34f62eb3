package cuda

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// modules are the checked-in files, the folders of their sources, and the oldest
// devices that run them.
var modules = []struct{ ptx, sources, target string }{
	{"kernels.ptx", "kernels", "sm_75"}, // which OpenDriver accepts
	{"sm80.ptx", "kernels/sm80", "sm_80"},
}

// entries are the kernels of a source, as themselves or as the number of a macro.
var entries = regexp.MustCompile(
	`(?m)^(KERNEL|KERNEL_OF|KERNEL_MIN|GEMM|NOISY|NORM|NORM_HALF|ATTENTION)` +
		`\((?:256, |NOISY_THREADS, |ROW_THREADS, )?(\w+)[,)]`)

// numbered begins the kernels that a macro makes of numbers.
var numbered = map[string]string{"NORM": "norm_bf16_", "NORM_HALF": "norm_half_", "ATTENTION": "attention_"}

// TestPTXSources: the checked-in PTX was made of the sources as they are.
// scripts/ptx.sh --check compiles them again, where that clang is installed.
func TestPTXSources(t *testing.T) {
	sum := sha256.New()
	for _, pattern := range []string{"kernels/*.cu", "kernels/*.h", "kernels/sm80/*.cu", "kernels/sm80/*.h"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no sources: %v", err)
		}
		for _, f := range files {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sum.Write(src)
		}
	}
	for _, m := range modules {
		text, err := os.ReadFile(filepath.Join("kernels", m.ptx))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("\n// sources: SHA-256 %x\n", sum.Sum(nil)); !strings.HasSuffix(string(text), want) {
			t.Errorf("%s was made of other sources: run make ptx (it needs clang-19)", m.ptx)
		}
	}
}

// TestPTX finds every kernel of the sources, and no other, in the checked-in
// PTX, none of which spills to local memory.
func TestPTX(t *testing.T) {
	for _, m := range modules {
		files, err := filepath.Glob(filepath.Join(m.sources, "*.cu"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no sources: %v", err)
		}
		var want []string
		for _, f := range files {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range entries.FindAllSubmatch(src, -1) {
				want = append(want, numbered[string(k[1])]+string(k[2]))
			}
		}
		text, err := os.ReadFile(filepath.Join("kernels", m.ptx))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range regexp.MustCompile(`\.entry (\w+)\(`).FindAllSubmatch(text, -1) {
			got = append(got, string(k[1]))
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v\nthe sources %v", m.ptx, got, want)
		}
		if strings.Contains(string(text), "ld.local") {
			t.Errorf("%s: a kernel spills to local memory", m.ptx)
		}
		if !strings.Contains(string(text), ".target "+m.target) {
			t.Errorf("%s is not for %s", m.ptx, m.target)
		}
	}
}
