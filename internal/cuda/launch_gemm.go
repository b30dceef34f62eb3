package cuda

import "fmt"

// Form says which factors of a product are transposed: NT is A Bᵀ, NN is A B,
// TN is Aᵀ B, all row-major.
type Form string

// The forms of a product.
const (
	NT Form = "nt"
	NN Form = "nn"
	TN Form = "tn"
)

// Operand is a matrix, or one matrix per slot and head: slot s and head h begin
// at s·Slot + h·Head, and where Index is given s is looked up in it.
type Operand struct {
	Ptr        Ptr
	Ld         int
	Slot, Head int64
	Index      Ptr
}

// Gemm is C = Alpha·op(A)·op(B), added to C where Accumulate. C is M×N, the
// inner length K. An NT product of one slot may end with C + Bias, Act, and
// + Residual, whose rows are read at Index of their slot of Rows rows where it
// is given; C's rows then are N apart.
type Gemm struct {
	Form       Form
	C, A, B    Operand
	M, N, K    int
	Alpha      float32
	Accumulate bool
	Slots      int // 0: 1
	Heads      int // 0: 1

	Bias, Residual, Index Ptr
	Rows                  int
	Act                   Function

	Half  bool // A and B are bf16: an NT product of one slot
	HalfC bool // C, Bias and a residual that no function comes before are bf16 too
	Exact bool // floats are not rounded, whatever the precision
}

func (g *Gemm) batch() int { return max(g.Slots, 1) * max(g.Heads, 1) }

// maxGridZ is the largest third dimension of a grid.
const maxGridZ = 65535

// Gemm computes a product, with cuBLAS where it is open.
func (d *Device) Gemm(g Gemm) error {
	if g.M <= 0 || g.N <= 0 || g.batch() <= 0 {
		return nil
	}
	if (g.Bias != 0 || g.Residual != 0 || g.Act != Identity) && (g.Form != NT || g.batch() != 1 || g.C.Ld != g.N) {
		return fmt.Errorf("cuda: a %s product of %d has no epilogue", g.Form, g.batch())
	}
	if d.blas != nil && g.K > 0 {
		return d.blasGemm(g)
	}
	return d.chunked(g, maxGridZ, d.ownGemm)
}

// chunked cuts a batch into whole slots of at most limit products.
func (d *Device) chunked(g Gemm, limit int, f func(Gemm) error) error {
	slots, heads := max(g.Slots, 1), max(g.Heads, 1)
	per := max(limit/heads, 1)
	for lo := 0; lo < slots; lo += per {
		part := g
		part.Slots, part.Heads = min(per, slots-lo), heads
		part.A, part.B, part.C = part.A.from(lo), part.B.from(lo), part.C.from(lo)
		if err := f(part); err != nil {
			return err
		}
	}
	return nil
}

// largeTile is the smallest matrix, in both directions, that fills the device
// with tiles of 128.
const largeTile = 1024

func (d *Device) ownGemm(g Gemm) error {
	tile := 64
	if g.M >= largeTile && g.N >= 128 && g.M*g.N >= largeTile*largeTile {
		tile = 128
	}
	a := []Arg{P(g.C.Ptr), P(g.A.Ptr), P(g.B.Ptr), I(g.M), I(g.N), I(g.K), I(g.A.Ld), I(g.B.Ld), I(g.C.Ld), F(g.Alpha),
		flag(g.Accumulate),
		P(g.Bias), I(int(g.Act)), P(g.Residual), P(g.Index), I(max(g.Rows, 1)), I(g.Heads),
		L(g.C.Slot), L(g.A.Slot), L(g.B.Slot), L(g.C.Head), L(g.A.Head), L(g.B.Head), P(g.A.Index), P(g.B.Index)}
	grid := Dim{(g.N + tile - 1) / tile, (g.M + tile - 1) / tile, g.batch()}
	if grid.Y > maxGridZ {
		return fmt.Errorf("cuda: a product of %d rows is larger than a grid", g.M)
	}
	return d.Launch(fmt.Sprintf("gemm_%s_%d", g.Form, tile), grid, Dim{256, 1, 1}, 0, Compute, a)
}
