package noise

import (
	"testing"

	"github.com/flops-vit/flops/noise/isa"
)

// eachLevel runs f on the portable path and on every vector path that this
// processor has.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	best := level
	defer func() { level = best }()
	for l, name := range []string{"portable", "avx2", "avx512"}[:best+1] {
		level = isa.Level(l)
		t.Run(name, f)
	}
}
