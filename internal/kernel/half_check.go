package kernel

import (
	"fmt"
	"math"
)

// checkHalf compares a kernel with the portable one, bit for bit, on a small product
// with every edge.
func checkHalf(e *halfEngine) error {
	if e == portableHalf {
		return nil
	}
	m, n, k := 2*e.rows+1, halfPanel+5, 2*halfStep+7
	fill := checkNumbers()
	a, w, bias := fill(m*k), fill(n*k), fill(n)
	var c [2][]float32
	for i, eng := range []*halfEngine{e, portableHalf} {
		var b Half
		var s HalfScratch
		b.pack(eng, w, n, k, k)
		eng.lay(eng, a, k, m, &b, &s)
		for j := range b.panels() {
			clear(s.bias[:])
			copy(s.bias[:], bias[j*halfPanel:])
			sums := make([]float32, roundUp(m, eng.rows)*halfPanel)
			eng.panel(sums, m, &b, j, &s)
			c[i] = append(c[i], sums[:m*halfPanel]...)
		}
	}
	for i, want := range c[1] {
		if math.Float32bits(c[0][i]) != math.Float32bits(want) {
			return fmt.Errorf("bf16 kernel %s: sum %d of the check is %g, not %g", e.name, i, c[0][i], want)
		}
	}
	return nil
}
