package safetensors

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// torchVectors were made by PyTorch 1.13 (torch.nn.functional.interpolate,
// Tensor.half, Tensor.bfloat16).
func torchVectors(t *testing.T) (v struct {
	Bits      []uint32
	F16, BF16 []uint16
}) {
	t.Helper()
	b, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestWiden checks all 65536 numbers of both formats against their definition,
// ±m·2^e, computed in float64.
func TestWiden(t *testing.T) {
	value := func(h uint16, expBits, fracBits int) float64 {
		bias := 1<<(expBits-1) - 1
		frac := float64(h & (1<<fracBits - 1))
		exp := int(h>>fracBits) & (1<<expBits - 1)
		sign := math.Copysign(1, -float64(h>>15)+0.5)
		switch {
		case exp == 1<<expBits-1 && frac != 0:
			return math.NaN()
		case exp == 1<<expBits-1:
			return math.Inf(int(sign))
		case exp == 0:
			return sign * math.Ldexp(frac, 1-bias-fracBits)
		}
		return sign * math.Ldexp(frac+float64(int(1)<<fracBits), exp-bias-fracBits)
	}
	same := func(a float32, b float64) bool {
		return math.Float64bits(float64(a)) == math.Float64bits(b) || math.IsNaN(float64(a)) && math.IsNaN(b)
	}
	for h := range 1 << 16 {
		h := uint16(h)
		if got, want := F16ToF32(h), value(h, 5, 10); !same(got, want) {
			t.Fatalf("f16 %#04x: %v, want %v", h, got, want)
		}
		if got, want := BF16ToF32(h), value(h, 8, 7); !same(got, want) {
			t.Fatalf("bf16 %#04x: %v, want %v", h, got, want)
		}
	}
}

// TestNarrow checks that every number of both formats comes back, and that
// what lies between two neighbours goes to the nearer one, a tie to the even.
func TestNarrow(t *testing.T) {
	for _, f := range []struct {
		name string
		to   func(float32) uint16
		from func(uint16) float32
		inf  uint16
	}{{"f16", F32ToF16, F16ToF32, 0x7c00}, {"bf16", F32ToBF16, BF16ToF32, 0x7f80}} {
		for h := range 1 << 16 {
			h := uint16(h)
			v := f.from(h)
			if v != v {
				if back := f.from(f.to(v)); back == back {
					t.Fatalf("%s %#04x: a NaN became %v", f.name, h, back)
				}
				continue
			}
			if got := f.to(v); got != h {
				t.Fatalf("%s %#04x became %#04x", f.name, h, got)
			}
			if h&0x7fff >= f.inf-1 {
				continue // no finite neighbour
			}
			next := f.from(h + 1)
			mid := float32((float64(v) + float64(next)) / 2)
			even := h + h&1
			outward := math.Nextafter32(mid, next)
			inward := math.Nextafter32(mid, v)
			if f.to(mid) != even || f.to(outward) != h+1 || f.to(inward) != h {
				t.Fatalf("%s between %#04x and the next: tie %#04x, above %#04x, below %#04x", f.name, h, f.to(mid), f.to(outward),
					f.to(inward))
			}
		}
	}
	if F32ToF16(65520) != 0x7c00 || F32ToF16(65519.996) != 0x7bff || F32ToBF16(math.MaxFloat32) != 0x7f80 {
		t.Error("overflow does not become infinite at half a unit past the largest")
	}
	if nan := math.Float32frombits(0x7f800001); !math.IsNaN(float64(BF16ToF32(F32ToBF16(nan)))) ||
		!math.IsNaN(float64(F16ToF32(F32ToF16(nan)))) {
		t.Error("a NaN with a small payload was lost")
	}
}

func TestNarrowAsTorch(t *testing.T) {
	v := torchVectors(t)
	for i, b := range v.Bits {
		f := math.Float32frombits(b)
		if got := F32ToF16(f); got != v.F16[i] {
			t.Errorf("f16 of %#08x: %#04x, torch has %#04x", b, got, v.F16[i])
		}
		if got := F32ToBF16(f); got != v.BF16[i] {
			t.Errorf("bf16 of %#08x: %#04x, torch has %#04x", b, got, v.BF16[i])
		}
	}
}
