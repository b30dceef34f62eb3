package testkit

import "testing"

// Allocations is the average number of allocations of a call of f over so many runs, rounded
// down, as [testing.AllocsPerRun] counts it. Under the race detector it is 0, and the test's
// log says so: there a sync.Pool forgets a quarter of what it is given, by chance, so that
// code which takes its memory from one allocates.
func Allocations(t testing.TB, runs int, f func()) float64 {
	t.Helper()
	if raced {
		t.Log("allocations are not counted under the race detector")
		f()
		return 0
	}
	return testing.AllocsPerRun(runs, f)
}
