package kernel

import (
	"math"
	"unsafe"
)

// portableHalf is plain Go, and says what the others' bits are.
var portableHalf = &halfEngine{name: "portable", rows: 1, block: 1 << 20, bytes: 4, most: 256, lay: layRows,
	tiles: tileHalfPortable}

// smallest is the least normal number, below which everything is zero. What rounds up
// to it with the precision of normal numbers is it.
const (
	smallest  = 1.0 / (1 << 126)
	roundsToo = smallest - smallest/(1<<25)
)

// flushed is x as float32, zero below the normal numbers.
func flushed(x float64) float32 {
	if math.Abs(x) < roundsToo {
		return float32(math.Copysign(0, x))
	}
	return float32(x)
}

// fused is sum + x·y with one rounding. The product of two bf16 is exact in float32 as
// in float64, whose 53 bits are enough for a sum of two float32 to be rounded again
// without harm (Figueroa, When is double rounding innocuous?, 1995).
func fused(sum, x, y float32) float32 { return flushed(float64(sum) + float64(x)*float64(y)) }

func addFlushed(x, y float32) float32 { return flushed(float64(zeroed(x)) + float64(zeroed(y))) }

// zeroed is an operand.
func zeroed(x float32) float32 {
	if math.Float32bits(x)&0x7f800000 == 0 {
		return float32(math.Copysign(0, float64(x)))
	}
	return x
}

// tileHalfPortable computes one row at a time.
func tileHalfPortable(t *halfArgs) {
	for n := range t.count {
		sums := (*[halfPanel]float32)(unsafe.Add(t.c, n*halfPanel*4))
		if t.bias != nil {
			*sums = *(*[halfPanel]float32)(t.bias)
		}
		a := unsafe.Add(t.a, n*t.tileStep)
		for q := range t.steps {
			x := (*[halfStep]float32)(unsafe.Add(a, q*halfStep*4))
			b := unsafe.Add(t.b, q*panelStep*2)
			for j := range sums {
				w := (*[halfTile]uint16)(unsafe.Add(b, j/16*halfTile*2))
				var even, odd float32
				for p := 0; p < 16; p++ {
					even = fused(even, x[2*p], FromHalf(w[p*32+j%16*2]))
					odd = fused(odd, x[2*p+1], FromHalf(w[p*32+j%16*2+1]))
				}
				sums[j] = addFlushed(sums[j], addFlushed(even, odd))
			}
		}
	}
}
