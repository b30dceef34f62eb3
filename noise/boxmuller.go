package noise

import "math"

// fma32 is a·b + c. The product is exact in float64, so the sum is rounded
// twice; that differs from one rounding in about one case in 2^29.
func fma32(a, b, c float32) float32 { return float32(float64(a)*float64(b) + float64(c)) }

// Coefficients of the three approximations below, from a Remez exchange on the
// intervals named and rounded to float32.
const (
	// ln(1+f) = f − f²/2 + f³·L(f) for 1+f in [√½, √2), relative error 6e-9.
	ln0, ln1, ln2, ln3 = 0.3333333134651184, -0.2500081956386566, 0.20001226663589478, -0.16623356938362122
	ln4, ln5, ln6, ln7 = 0.14201761782169342, -0.13160185515880585, 0.12761561572551727, -0.07634472846984863
	// ln 2 in two parts; ln2Hi has 9 significant bits, so that e·ln2Hi is exact.
	ln2Hi, ln2Lo = 0.693359375, -2.12194440e-4
	// sin 2πφ = φ·S(φ²) for |φ| ≤ 1/8, relative error 3e-9.
	sin0, sin1, sin2, sin3 = 6.2831854820251465, -41.3416633605957, 81.59235382080078, -75.39356994628906
	// cos 2πφ = 1 + φ²·C(φ²) for |φ| ≤ 1/8, error 1e-10.
	cos0, cos1, cos2, cos3 = -19.739208221435547, 64.93932342529297, -85.44324493408203, 59.22028732299805
	// √½ as bits: what is taken off a float's bits before its exponent is read.
	sqrtHalfBits = 0x3F3504F3
)

// boxMuller turns two words into two independent normals (Box and Muller, A
// note on the generation of random normal deviates, 1958), as the package
// comment states.
func boxMuller(a, b uint32) (first, second float32) {
	u := fma32(float32(a>>9), 1.0/(1<<23), 1.0/(1<<24))
	rho := float32(math.Sqrt(float64(minus2Log(u))))
	c, s := turn(b)
	return rho * c, rho * s
}

// minus2Log is −2 ln u for u in (0, 1), within 2 ulp: the logarithm's terms all
// scaled by −2, which is exact, and the polynomial by pairs (Estrin), so that a
// vector form has few operations that wait for each other.
func minus2Log(u float32) float32 {
	d := int32(math.Float32bits(u)) - sqrtHalfBits
	e := d >> 23
	f := math.Float32frombits(uint32(d-e<<23)+sqrtHalfBits) - 1
	z, n := f*f, float32(e)
	hi := fma32(fma32(ln7, f, ln6), z, fma32(ln5, f, ln4))
	lo := fma32(fma32(ln3, f, ln2), z, fma32(ln1, f, ln0))
	p := fma32(hi, z*z, lo)
	y := fma32(z*(-2*f), p, float32(-2*ln2Lo*n)+z)
	return fma32(n, -2*ln2Hi, -2*f) + y
}

// turn returns cos θ and sin θ for the angle of word b, within 2 ulp.
func turn(b uint32) (c, s float32) {
	phi := fma32(float32(int32(b<<2)>>11), 1.0/(1<<23), 1.0/(1<<24))
	t := phi * phi
	s = fma32(sin3, t, sin2)
	s = fma32(s, t, sin1)
	s = fma32(s, t, sin0)
	s *= phi
	c = fma32(cos3, t, cos2)
	c = fma32(c, t, cos1)
	c = fma32(c, t, cos0)
	c = fma32(c, t, 1)
	switch (b + 1<<29) >> 30 {
	case 1:
		return -s, c
	case 2:
		return -c, -s
	case 3:
		return s, -c
	}
	return c, s
}
