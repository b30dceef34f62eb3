package noise

import "golang.org/x/sys/cpu"

//go:generate go run ./asm -out noise_amd64.s -stubs noise_stubs_amd64.go -pkg noise

// Instruction sets of the noise kernels.
const (
	portable = iota
	avx2
	avx512
)

// level is the best set of this processor; tests lower it.
var level = bestLevel()

func bestLevel() int {
	x := &cpu.X86
	switch {
	case !(x.HasAVX2 && x.HasFMA):
		return portable
	case x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL && x.HasBMI2:
		return avx512
	}
	return avx2
}

// groups makes len(dst)/32 whole groups beginning at counter ctr, which it
// leaves alone.
func (s *counted) groups(m mode, dst, z []float32, scale float32, ctr *counter) {
	n := len(dst) / group
	switch {
	case level == portable:
		s.groupsGeneric(m, dst, z, scale, ctr)
	case level == avx512:
		s.groupsWide(m, dst, z, scale, ctr)
	case m == fill && s.rademacher:
		rademacherFillAVX2(&dst[0], n, ctr)
	case m == fill:
		gaussianFillAVX2(&dst[0], n, ctr)
	case s.rademacher:
		rademacherAddScaledAVX2(&dst[0], &z[0], n, scale, ctr)
	default:
		gaussianAddScaledAVX2(&dst[0], &z[0], n, scale, ctr)
	}
}

func (s *counted) groupsWide(m mode, dst, z []float32, scale float32, ctr *counter) {
	n := len(dst) / group
	switch {
	case m == fill && s.rademacher:
		rademacherFillAVX512(&dst[0], n, ctr)
	case m == fill:
		gaussianFillAVX512(&dst[0], n, ctr)
	case s.rademacher:
		rademacherAddScaledAVX512(&dst[0], &z[0], n, scale, ctr)
	default:
		gaussianAddScaledAVX512(&dst[0], &z[0], n, scale, ctr)
	}
}
