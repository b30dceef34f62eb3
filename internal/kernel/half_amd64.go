package kernel

import (
	"os"
	"unsafe"

	"github.com/flops-vit/flops/noise/isa"
	"golang.org/x/sys/cpu"
)

var (
	avx2Half = &halfEngine{name: "avx2", detail: "3x16", rows: 3, block: 8, bytes: 4, most: 256, lay: layRows,
		tiles: tileHalfAVX2}
	avx512Half = &halfEngine{name: "avx512", detail: "6x32", rows: 6, block: 8, bytes: 4, most: 256, lay: layRows,
		tiles: half6x32AVX512}
	pairHalf = &halfEngine{name: PairUnit, detail: "6x32", unit: "AVX512_BF16", rows: 6, block: 16, bytes: 2, most: 252,
		apart: true, lay: layApart, tiles: half6x32BF16}
	amxHalf = &halfEngine{name: TileUnit, detail: "32x32", unit: "AMX", rows: 32, block: 24, bytes: 2, most: 512,
		tiled: true, lay: layTiles, tiles: halfAMX}
)

// vectorHalf are the kernels that this processor claims to run, best first, and why
// the one of them that was asked for is not the first.
func vectorHalf() (list []*halfEngine, why string) {
	level, asked := isa.Current(), os.Getenv(EnvKernel)
	if level < isa.AVX2 {
		return nil, "the level of instructions was lowered"
	}
	if level == isa.AVX512 && asked != avx512Half.name {
		if asked != PairUnit {
			if why = noTileUnit(); why == "" {
				list = append(list, amxHalf)
			}
		}
		if cpu.X86.HasAVX512BF16 {
			list = append(list, pairHalf)
		} else if asked == PairUnit {
			why = "this processor has no AVX512_BF16"
		}
	}
	if level == isa.AVX512 {
		list = append(list, avx512Half)
	}
	return append(list, avx2Half), why
}

// noTileUnit says why the tile unit is not used; it is empty where it is.
func noTileUnit() string {
	const tiles = 1<<17 | 1<<18 // of XCR0: the tiles' shapes and what they hold
	switch x := &cpu.X86; {
	case !x.HasAMXTile || !x.HasAMXBF16 || !x.HasAVX512BF16:
		return "this processor has no tile unit for bf16"
	case !x.HasOSXSAVE || halfXGETBV()&tiles != tiles:
		return "the system does not save the tile unit's registers"
	}
	if err := allowTiles(); err != nil {
		return "the system does not allow the tile unit: " + err.Error()
	}
	return ""
}

// tileHalfAVX2 computes the two tiles of columns of a panel one after the other.
func tileHalfAVX2(t *halfArgs) {
	half3x16AVX2(t)
	right := *t
	right.b, right.c = unsafe.Add(t.b, halfTile*halfBytes), unsafe.Add(t.c, 64)
	if t.bias != nil {
		right.bias = unsafe.Add(t.bias, 64)
	}
	half3x16AVX2(&right)
}

// packRowsVec rounds 16 rows into the tile of each step; it reports false where the
// processor has no instruction for it.
func packRowsVec(tiles []uint16, src []float32, ld, steps int) bool {
	if vecLevel < vecAVX512 || !cpu.X86.HasAVX512BF16 || steps == 0 {
		return false
	}
	_, _ = tiles[(steps-1)*panelStep+halfTile-1], src[15*ld+steps*halfStep-1]
	packHalfTile(&tiles[0], &src[0], ld, steps)
	return true
}

// roundApartVec reports false where the processor has no instruction for it.
func roundApartVec(dst []uint16, src []float32, ld, steps, rows int) bool {
	if vecLevel < vecAVX512 || !cpu.X86.HasAVX512BF16 || steps == 0 || rows == 0 {
		return false
	}
	_, _ = dst[rows*steps*halfStep-1], src[(rows-1)*ld+steps*halfStep-1]
	roundPairsApart(&dst[0], &src[0], ld, steps, rows, &apartOrder)
	return true
}

// pairsApartVec reports false where the processor has no instruction for it.
func pairsApartVec(tile []uint16) bool {
	if vecLevel < vecAVX512 {
		return false
	}
	_ = tile[halfTile-1]
	tilePairsApart(&tile[0])
	return true
}

func packPairsVec(tile []uint16, src []float32, ld int) bool {
	if vecLevel == vecPortable {
		return false
	}
	_, _ = tile[halfTile-1], src[(halfStep-1)*ld+15]
	packPairsAVX2(&tile[0], &src[0], ld, halfStep/2)
	return true
}

func roundRowsVec(x []float32) bool {
	if vecLevel == vecPortable || len(x) == 0 {
		return false
	}
	roundHalfAVX2(&x[0], &x[0], len(x))
	return true
}

// storeStrip copies rows of 32 values by vectors, and adds those of res where it is not
// nil; it reports false where it cannot.
func storeStrip(dst []float32, ldd int, src, res []float32, ldr, rows int) bool {
	if vecLevel == vecPortable {
		return false
	}
	_, _ = dst[(rows-1)*ldd+halfPanel-1], src[rows*halfPanel-1]
	var r *float32
	if res != nil {
		_ = res[(rows-1)*ldr+halfPanel-1]
		r = &res[0]
	}
	storeStripAVX2(&dst[0], ldd, &src[0], r, ldr, rows)
	return true
}
