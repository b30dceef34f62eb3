//go:build !amd64

package kernel

func vectorHalf() (list []*halfEngine, why string) {
	return nil, "this processor has no tile unit for bf16"
}

func packRowsVec(tiles []uint16, src []float32, ld, steps int) bool { return false }

func roundApartVec(dst []uint16, src []float32, ld, steps, rows int) bool { return false }

func pairsApartVec(tile []uint16) bool { return false }

func roundRowsVec(x []float32) bool { return false }

func storeStrip(dst []float32, ldd int, src, res []float32, ldr, rows int) bool { return false }

func packPairsVec(tile []uint16, src []float32, ld int) bool { return false }
