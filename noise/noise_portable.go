//go:build !amd64

package noise

func (s *counted) groups(m mode, dst, z []float32, scale float32, ctr *counter) {
	s.groupsGeneric(m, dst, z, scale, ctr)
}
