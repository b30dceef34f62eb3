package kernel

import "fmt"

// selfCheck multiplies a small awkward product (edge tiles in all directions,
// every epilogue input) on e and on the portable engine, in some microseconds.
// A processor, or a virtual machine, that claims instructions it does not
// execute properly is caught here and not in a result.
func selfCheck(e *engine) error {
	m, n, k := e.mr+e.mr/2+1, e.nr+3, 7
	var s Scratch
	fill := checkNumbers()
	a, w, d, bias := fill(m*k), fill(n*k), fill(m*n), fill(n)
	var c [2][]float32
	for i, eng := range []*engine{e, portable} {
		c[i] = append([]float32(nil), d...)
		var p Packed
		p.packNT(eng, w, n, k, k)
		Gemm(c[i], n, a, k, m, &p, &Epilogue{Bias: bias, Accumulate: true, Scale: 0.5}, &s)
	}
	for i, want := range c[1] {
		if diff := c[0][i] - want; !(diff < 1e-5 && diff > -1e-5) {
			return fmt.Errorf("kernel %s: element %d of the check is %g, not %g", e.name, i, c[0][i], want)
		}
	}
	return nil
}

// checkNumbers makes the operands of a check, one after another: numbers of (−1, 1) from
// a congruential generator.
func checkNumbers() func(n int) []float32 {
	v := uint32(1)
	return func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			v = v*1664525 + 1013904223
			x[i] = float32(int32(v)) * (1.0 / (1 << 31))
		}
		return x
	}
}
