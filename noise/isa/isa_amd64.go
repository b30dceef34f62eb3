package isa

import "golang.org/x/sys/cpu"

func best() Level {
	x := &cpu.X86
	switch {
	case !(x.HasAVX2 && x.HasFMA):
		return Portable
	case x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL && x.HasBMI2:
		return AVX512
	}
	return AVX2
}
