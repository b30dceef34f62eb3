package main

import (
	"runtime"
	"runtime/debug"
)

// spare is the garbage that every command lets lie, in percent of its heap. The steady
// state of each allocates next to nothing, so that a small margin costs no time and keeps
// the resident set near what is in use.
const spare = 20

// slack is how much garbage a run lets lie, of a heap of so many bytes or more: its memory
// is a few large pieces, so that looking through them takes milliseconds, and a step leaves
// about as much.
const slack = 4 << 20

// tighten gives back what opening and measuring left, and keeps a run's memory within
// slack of what is in use.
func tighten() {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(int(min(spare, max(2, 100*slack/m.HeapAlloc))))
}
