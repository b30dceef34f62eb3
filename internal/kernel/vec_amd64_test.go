package kernel

import "testing"

// eachLevel runs f on the portable path and on every vector path that this
// processor has.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	best := vecLevel
	defer func() { vecLevel = best }()
	for level, name := range []string{"portable", "avx2", "avx512"}[:best+1] {
		vecLevel = level
		t.Run(name, f)
	}
}
