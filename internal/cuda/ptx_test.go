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

// TestPTXSources: the checked-in PTX was made of the sources as they are.
// scripts/ptx.sh --check compiles them again, where that clang is installed.
func TestPTXSources(t *testing.T) {
	sum := sha256.New()
	for _, pattern := range []string{"kernels/*.cu", "kernels/*.h"} {
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
	text, err := os.ReadFile("kernels/kernels.ptx")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("\n// sources: SHA-256 %x\n", sum.Sum(nil)); !strings.HasSuffix(string(text), want) {
		t.Error("kernels.ptx was made of other sources: run make ptx (it needs clang-19)")
	}
}

// TestPTX finds every kernel of the sources, and no other, in the checked-in
// PTX, none of which spills to local memory.
func TestPTX(t *testing.T) {
	files, err := filepath.Glob("kernels/*.cu")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	var want []string
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^(?:KERNEL\(|KERNEL_OF\(\w+, |GEMM\()(\w+),`).FindAllSubmatch(src, -1) {
			want = append(want, string(m[1]))
		}
	}
	text, err := os.ReadFile("kernels/kernels.ptx")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`\.entry (\w+)\(`).FindAllSubmatch(text, -1) {
		got = append(got, string(m[1]))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("kernels.ptx has %v\nthe sources %v", got, want)
	}
	if strings.Contains(string(text), "ld.local") {
		t.Error("a kernel spills to local memory")
	}
	if !strings.Contains(string(text), ".target sm_75") {
		t.Error("kernels.ptx is not for sm_75, the oldest device that OpenDriver accepts")
	}
}
