//go:build !amd64

package kernel

func vectorEngines() []*engine { return nil }

func transposeBlock(dst []float32, ldd int, x []float32, ldx, rows, cols int) (doneRows, doneCols int) {
	return 0, 0
}

func copyStrip(dst, src []float32, ld, width, rows int) bool { return false }
