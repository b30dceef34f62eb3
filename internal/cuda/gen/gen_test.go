package main

import (
	"strings"
	"testing"
)

const sample = `typedef int wchar_t;
typedef unsigned long long CUdeviceptr;
CUresult cuInit(unsigned int Flags);
CUresult cuMemAlloc(CUdeviceptr* dptr, size_t bytesize);
CUresult
cuLinkDestroy(CUlinkState state);
__attribute__((deprecated)) CUresult cuTexRefCreate(CUtexref* pTexRef);
CUresult cuMemAlloc(CUdeviceptr* dptr, size_t bytesize);
`

func TestFunctions(t *testing.T) {
	got := strings.Join(functions(sample), " ")
	if want := "cuInit cuMemAlloc_v2 cuLinkDestroy cuTexRefCreate"; got != want {
		t.Errorf("functions: %s, want %s", got, want)
	}
}

func TestWrapHeader(t *testing.T) {
	h, err := wrapHeader(sample)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"#ifndef FLOPS_CUDA_H", "#define cuMemAlloc cuMemAlloc_v2",
		"#define cuTexRefSetAddress2D cuTexRefSetAddress2D_v3",
		"CU_TRSF_READ_AS_INTEGER", "CU_LAUNCH_PARAM_BUFFER_SIZE", "cuuint64_t", "flops_cuda_open"} {
		if !strings.Contains(h, want) {
			t.Errorf("the header has no %q", want)
		}
	}
	if strings.Contains(h, "wchar_t") {
		t.Error("the header kept declarations of the C library")
	}
	if _, err := wrapHeader("int x;"); err == nil {
		t.Error("a header without the driver API was accepted")
	}
}

func TestStubHasEveryFunctionButInit(t *testing.T) {
	s, err := stubSource([]string{"cuInit", "cuMemAlloc_v2"})
	if err != nil {
		t.Skip(err)
	}
	if !strings.Contains(s, `{"cuMemAlloc_v2", &cuMemAlloc_v2_ptr}`) || strings.Contains(s, `cuInit_ptr`) {
		t.Errorf("stub source is wrong:\n%s", s)
	}
}
