package train

import (
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

// TestTooManyDirections: a budget whose directions the noise cannot number is
// refused before a step is made, and one that fits is not.
func TestTooManyDirections(t *testing.T) {
	for queries, want := range map[int]bool{1 << 20: false, 1 << 10: true} {
		c := tiny()
		c.Train.BatchSize, c.Budget.QueriesPerImage = 8, float64(queries)
		x, err := Open(c, func(string) {})
		if err == nil {
			x.Close()
		}
		e, mistake := uierr.As(err)
		if (err == nil) != want || err != nil && (!mistake || !strings.Contains(e.What, "budget.queries_per_image")) {
			t.Errorf("%d queries per image: %v", queries, err)
		}
	}
}
