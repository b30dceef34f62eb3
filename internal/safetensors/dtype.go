package safetensors

import "math"

// DType is the number format of a tensor in a safetensors file.
type DType string

// The formats that are read into float32; F32, F16 and BF16 are also written.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
)

// dtypeBits has every format of the safetensors specification, also those that
// no ViT has: their sizes are needed to check a header.
var dtypeBits = map[DType]int64{
	"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
	"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8,
	"I16": 16, "U16": 16, F16: 16, BF16: 16,
	"I32": 32, "U32": 32, F32: 32,
	I64: 64, "U64": 64, F64: 64, "C64": 64,
}

// Bits is the number of bits of one value, 0 for an unknown format.
func (d DType) Bits() int64 { return dtypeBits[d] }

// Size is the number of bytes of one value, 0 for an unknown format and for
// those of less than a byte.
func (d DType) Size() int64 { return dtypeBits[d] / 8 }

// writable says whether tensors can be saved in the format.
func (d DType) writable() bool { return d == F32 || d == F16 || d == BF16 }

// F16ToF32 widens an IEEE 754 binary16 number; every value is exact and a NaN
// keeps its payload.
func F16ToF32(h uint16) float32 {
	sign, exp, frac := uint32(h&0x8000)<<16, uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch {
	case exp == 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp != 0:
		return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
	}
	// A subnormal is frac·2⁻²⁴, which float32 holds as a normal number.
	v := float32(frac) * 0x1p-24
	return math.Float32frombits(sign | math.Float32bits(v))
}

// F32ToF16 rounds to the nearest binary16 number, ties to even; what is too
// large becomes infinite, and a NaN stays one.
func F32ToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign, abs := uint16(b>>16)&0x8000, b&0x7fffffff
	switch {
	case abs > 0x7f800000:
		return sign | 0x7e00 | uint16(abs>>13)&0x3ff
	case abs >= 0x477ff000: // 65520, half way to the number after the largest
		return sign | 0x7c00
	case abs >= 0x38800000: // 2⁻¹⁴, the smallest normal number
		r := abs - (127-15)<<23
		r += 0xfff + r>>13&1
		return sign | uint16(r>>13)
	}
	// Adding 2⁻¹·(1.0) makes the unit in the last place 2⁻²⁴, so that the
	// processor's own rounding to even leaves the subnormal in the low bits.
	v := math.Float32frombits(abs) + 0.5
	return sign | uint16(math.Float32bits(v)-math.Float32bits(0.5))
}

// BF16ToF32 widens a bfloat16 number, which is the upper half of a float32.
func BF16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F32ToBF16 rounds to the nearest bfloat16 number, ties to even; a NaN stays one.
func F32ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40 // quiet: the lower half may have held the whole payload
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
