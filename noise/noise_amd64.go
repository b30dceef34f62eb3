package noise

import "github.com/flops-vit/flops/noise/isa"

//go:generate go run -tags asm ./asm -out noise_amd64.s -stubs noise_stubs_amd64.go -pkg noise

// level is that of this process; tests lower it.
var level = isa.Current()

// groups makes len(dst)/32 whole groups beginning at counter ctr, which it
// leaves alone.
func (s *counted) groups(m mode, dst, z []float32, scale float32, ctr *counter) {
	n := len(dst) / group
	switch {
	case level == isa.Portable:
		s.groupsGeneric(m, dst, z, scale, ctr)
	case level == isa.AVX512:
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
