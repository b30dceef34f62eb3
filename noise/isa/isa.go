// Package isa says which instructions the generated assembly of this program may
// use: one level for matrix products, vectors and noise, so that a machine that is
// asked for the arithmetic of another has it everywhere.
package isa

import "os"

// Level is a set of instructions. A level includes those below it, and the results
// of AVX2 and AVX512 are the same bits.
type Level int

// The levels, lowest first.
const (
	Portable Level = iota // Go alone
	AVX2                  // AVX2 and FMA
	AVX512                // AVX-512 F, DQ, BW and VL, and BMI2
)

// Env is the environment variable that lowers the level.
const Env = "FLOPS_KERNEL"

// Current is the best level of this processor, or the lower one that Env names
// ("portable", "avx2"). A name that is no level leaves the best: it may be that of a
// library for matrix products.
func Current() Level { return lowered(best(), os.Getenv(Env)) }

func lowered(best Level, name string) Level {
	switch name {
	case "portable":
		return Portable
	case "avx2":
		return min(best, AVX2)
	}
	return best
}
